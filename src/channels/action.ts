/**
 * What a button under a message says when it is tapped. Its id names the message too, because not every
 * provider tells which one a tap belongs to; it fits the 64 bytes of the narrowest.
 */

export const actionKinds = ['confirm', 'other-time', 'cancel', 'stop'] as const;

export type ActionKind = (typeof actionKinds)[number];

export interface TappedAction {
  kind: ActionKind;
  /** Null where a button was made elsewhere, with nothing but the kind for its id. */
  messageId: string | null;
}

export function actionId(kind: ActionKind, messageId: string): string {
  return `${kind}:${messageId}`;
}

const idForm = /^([a-z-]{1,20})(?::([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))?$/;

/** @returns null for the id of no button of ours. */
export function readActionId(id: string): TappedAction | null {
  const [, name, messageId = null] = idForm.exec(id) ?? [];
  const kind = actionKinds.find((known) => known === name);
  return kind === undefined ? null : { kind, messageId };
}
