import type { Named } from '../../database/tables.ts';
import type { Concept, Reference } from './elements.ts';
import type { MappingInput } from './mapping.ts';
import type { Target } from './references.ts';

/** Who took part, and where. */

export const servicesMax = 100;

export interface Participant {
  type: Concept[] | undefined;
  actor: Reference | undefined;
}

const practitionerTypes = new Set(['Practitioner', 'PractitionerRole']);
/** Attending and primary performer. */
const leadingCodes = new Set(['ATND', 'PPRF']);

/** The one who leads, else the first. */
export function practitionerOf(
  participants: readonly Participant[],
  input: MappingInput,
): Named | undefined {
  const found = participants.flatMap(({ type, actor }) => {
    const target = input.references.resolve(actor, input.resource);
    if (target === null || !isPractitioner(target)) return [];
    return [{ target, isLeading: isLeading(type) }];
  });
  const chosen = found.find(({ isLeading: leads }) => leads) ?? found[0];
  return chosen === undefined ? undefined : namedTarget(chosen.target);
}

function isPractitioner(target: Target): boolean {
  return target.type === null ? target.id !== null : practitionerTypes.has(target.type);
}

function isLeading(types: readonly Concept[] | undefined): boolean {
  return (types ?? []).some(({ coding }) =>
    coding?.some(({ code }) => leadingCodes.has(code ?? '')),
  );
}

/** A place that the clinic knows; one that is described in passing is none. */
export function locationOf(
  references: readonly (Reference | undefined)[],
  input: MappingInput,
): Named | undefined {
  for (const reference of references) {
    const target = input.references.resolve(reference, input.resource);
    if (target !== null && !target.isContained && target.type === 'Location')
      return namedTarget(target);
  }
  return undefined;
}

/** By the id, else by the name alone. */
function namedTarget({ id, name }: Target): Named | undefined {
  const known = id ?? name;
  if (known === null) return undefined;
  return name === null ? { id: known } : { id: known, name };
}
