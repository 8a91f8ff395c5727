import { createHash } from 'node:crypto';
import type { Rule } from './rule.ts';

/** Who gets nothing of a rule, so that what it is worth can be measured. Pure. */

export type Arm = 'holdout' | 'treated';

/** By what a patient is assigned. */
export interface Units {
  /** The patient's own: whoever was assigned once stays, wherever they move. */
  own: string;
  /** Who lives together, or shares an address, is in one arm: they would tell each other. */
  shared: string;
}

export function unitsOf(
  rule: Pick<Rule, 'id'>,
  { patientId, household }: { patientId: string; household: string | null },
  address: string | null,
): Units {
  const own = `patient:${patientId}`;
  if (household !== null) return { own, shared: `household:${household}` };
  // An address is kept as its hash: a phone number has no place in a list of arms.
  return {
    own,
    shared: address === null ? own : `address:${digest(rule, address).toString('hex')}`,
  };
}

/**
 * The arms of these patients: the one that is kept, else the one that the hash of what they share gives.
 * `kept` is by unit; what is assigned here is assigned for the others who share it too.
 */
export function assignArms(
  rule: Pick<Rule, 'id' | 'definition'>,
  units: readonly Units[],
  kept: ReadonlyMap<string, Arm>,
): Arm[] {
  const known = new Map(kept);
  return units.map(({ own, shared }) => {
    const arm = known.get(own) ?? known.get(shared) ?? drawArm(rule, shared);
    if (!known.has(own)) known.set(own, arm);
    if (!known.has(shared)) known.set(shared, arm);
    return arm;
  });
}

const shareOf = 2 ** 32;

function drawArm(rule: Pick<Rule, 'id' | 'definition'>, unit: string): Arm {
  const drawn = digest(rule, unit).readUInt32BE(0) / shareOf;
  return drawn < rule.definition.holdout ? 'holdout' : 'treated';
}

/** The rule's id is the seed: who is held out of one rule is not held out of all. */
function digest({ id }: Pick<Rule, 'id'>, text: string): Buffer {
  return createHash('sha256').update(`${id} ${text}`).digest();
}
