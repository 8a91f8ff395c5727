import type { Fault } from '../../errors.ts';
import type { ReadContext } from '../../history/shape.ts';
import type { ReadDirectoryEntry } from '../directory-entry.ts';
import type { RawResource, References } from './references.ts';

/** What a mapping is given, and what it makes of a resource. */
export interface MappingInput {
  resource: RawResource;
  id: string;
  references: References;
  context: ReadContext;
}

export interface MappedEvent {
  type: string;
  data: object;
  /** Where our fields come from, for faults: `/start` of ours is `/period/start` of theirs. */
  pointers?: Readonly<Record<string, string>>;
}

export type Mapped =
  | { events: MappedEvent[] }
  | { directory: ReadDirectoryEntry }
  | { faults: Fault[] };

export type Mapping = (input: MappingInput) => Mapped;

export function unresolved(pointer: string): Mapped {
  const detail = 'This reference leads to nothing that is known by an id.';
  return { faults: [{ pointer, code: 'unresolved-reference', detail }] };
}
