/** What SendGrid tells of a mail. */

export interface SendgridMessage {
  number: number;
  clientRef: string;
  /** The mail's address, as it was given. */
  to: string;
  from: string;
  subject: string;
  text: string;
  html: string | null;
  headers: Record<string, string>;
  messageId: string;
  atMs: number;
}

/** What becomes of a mail; `processed` comes before all but `dropped`. */
export type SendgridOutcome =
  | 'delivered'
  | 'deferred'
  | 'bounce'
  | 'blocked'
  | 'dropped'
  | 'open'
  | 'click'
  | 'spamreport'
  | 'unsubscribe'
  | 'async-bounce';

export function eventsOf(
  message: SendgridMessage,
  outcome: SendgridOutcome,
  nextEventId: () => string,
  timestamp: number,
): object[] {
  const base = () => ({
    email: message.to,
    timestamp,
    'smtp-id': `<${message.messageId}@sim>`,
    sg_event_id: nextEventId(),
    sg_message_id: `${message.messageId}.filter0001.1.A.0`,
    mid: message.clientRef,
  });
  const processed = () => ({ ...base(), event: 'processed' });
  const delivered = () => ({ ...base(), event: 'delivered', response: '250 OK' });
  const bounce = (type: string) => ({
    ...base(),
    event: 'bounce',
    type,
    reason: '500 unknown recipient',
    status: '5.0.0',
  });
  switch (outcome) {
    case 'delivered':
      return [processed(), delivered()];
    case 'deferred':
      return [processed(), { ...base(), event: 'deferred', response: '400 later', attempt: '1' }];
    case 'bounce':
    case 'blocked':
      return [processed(), bounce(outcome)];
    case 'dropped':
      return [{ ...base(), event: 'dropped', reason: 'Bounced Address' }];
    case 'async-bounce': {
      const { sg_message_id: _id, mid: _mid, ...rest } = bounce('bounce');
      return [processed(), delivered(), rest];
    }
    case 'open':
    case 'click':
    case 'spamreport':
    case 'unsubscribe':
      return [processed(), delivered(), { ...base(), event: outcome }];
  }
}
