import { hash } from 'node:crypto';
import { withClinic } from '../database/with-clinic.ts';
import { AppError, type Fault, invalid } from '../errors.ts';
import { isHostId } from '../history/host-id.ts';
import type { Caller } from '../history/key.ts';
import { type Findings, type ReadContext, readTime } from '../history/shape.ts';
import { textFaults } from '../schema-faults.ts';
import { uuidv7 } from '../uuid.ts';
import type { Outcome } from './batch.ts';
import { directoryNames } from './directory-store.ts';
import { type ReadEvent, readEvent } from './event.ts';
import { isTooComplex } from './event-types.ts';
import { mapAppointment } from './fhir/appointment.ts';
import { mapLocation, mapOrganization, mapPractitioner } from './fhir/directory.ts';
import { mapEncounter } from './fhir/encounter.ts';
import type { MappedEvent, Mapping } from './fhir/mapping.ts';
import { mapPatient } from './fhir/patient.ts';
import {
  createReferences,
  isResource,
  type RawResource,
  type References,
  resourceId,
} from './fhir/references.ts';
import {
  commitEvents,
  count,
  type IntakeAnswer,
  type IntakeDeps,
  readContext,
} from './record-events.ts';
import { type Problem, refusal, validationProblem } from './rejection.ts';

/** FHIR R4 resources and Bundles as events of ours. To take one more type, add a mapping. */

const mappings: ReadonlyMap<string, Mapping> = new Map([
  ['Patient', mapPatient],
  ['Encounter', mapEncounter],
  ['Appointment', mapAppointment],
  ['Practitioner', mapPractitioner],
  ['Organization', mapOrganization],
  ['Location', mapLocation],
]);

const nouns: ReadonlyMap<string, string> = new Map([
  ['Patient', 'patient'],
  ['Encounter', 'visit'],
  ['Appointment', 'appointment'],
]);

const bundleTypes = new Set(['transaction', 'batch', 'collection', 'history', 'searchset']);
export const bundleEntriesMax = 1_000;

export interface ResourceName {
  type: string;
  id: string;
}

/**
 * Takes a resource or a Bundle; each entry stands for itself, and is told of by its index.
 * @param named what the path of a PUT names.
 * @throws AppError a 400 for what is neither.
 */
export async function recordFhir(
  deps: IntakeDeps,
  caller: Caller,
  body: unknown,
  named?: ResourceName,
): Promise<IntakeAnswer> {
  if (!isResource(body)) {
    throw invalid('/resourceType', 'missing', 'A FHIR resource names its resourceType.');
  }
  const context = readContext(deps, caller);
  if (body.resourceType === 'Bundle') return recordBundle(deps, caller, context, body);
  const resource = named === undefined ? body : asNamed(body, named);
  return recordEntries(deps, caller, context, [
    { index: 0, fullUrl: null, resource, method: null, url: null, modified: null },
  ]);
}

function asNamed(resource: RawResource, { type, id }: ResourceName): RawResource {
  if (resource.resourceType !== type) {
    throw invalid('/resourceType', 'type-mismatch', 'The path names another type.');
  }
  if (resource.id !== undefined && resource.id !== id) {
    throw invalid('/id', 'id-mismatch', 'The path names another id.');
  }
  return { ...resource, id };
}

/** Whether a body is one resource, whose problem is told as an OperationOutcome. */
export function isSingleResource(body: unknown): boolean {
  return isResource(body) && body.resourceType !== 'Bundle';
}

/** What FHIR clients read where a single resource is refused. */
export function operationOutcome(problem: Problem): object {
  const issues =
    problem.errors.length > 0
      ? problem.errors
      : [{ pointer: '', code: problem.code, detail: problem.detail }];
  return {
    resourceType: 'OperationOutcome',
    issue: issues.map(({ pointer, code, detail }) => ({
      severity: 'error',
      code: issueTypes[code] ?? 'invalid',
      details: { text: code },
      diagnostics: detail,
      ...(pointer === '' ? {} : { expression: [pointer] }),
    })),
  };
}

const issueTypes: Readonly<Record<string, string>> = Object.freeze({
  missing: 'required',
  'not-allowed': 'code-invalid',
  'unsupported-resource': 'not-supported',
  'unresolved-reference': 'not-found',
  'too-complex': 'too-costly',
});

/** @returns false for a type that cannot be deleted here. */
export async function deleteFhir(
  deps: IntakeDeps,
  caller: Caller,
  { type, id }: ResourceName,
): Promise<boolean> {
  const noun = nouns.get(type);
  if (noun === undefined || !isHostId(id)) return false;
  const context = readContext(deps, caller);
  const reading = deletion(noun, type, id, nowText(context), context);
  if ('event' in reading) await commitEvents(deps, caller, [reading.event]);
  return 'event' in reading;
}

function deletion(
  noun: string,
  type: string,
  id: string,
  occurredAt: string,
  context: ReadContext,
) {
  const now = Temporal.Instant.fromEpochMilliseconds(context.nowMs);
  const eventId = `fhir:${type}/${id}:delete:${uuidv7(now)}`;
  return readEvent({ id: eventId, type: `${noun}.deleted`, occurredAt, data: { id } }, context);
}

interface BundleEntry {
  index: number;
  fullUrl: string | null;
  resource: RawResource | null;
  method: string | null;
  url: string | null;
  modified: string | null;
}

async function recordBundle(
  deps: IntakeDeps,
  caller: Caller,
  context: ReadContext,
  bundle: RawResource,
): Promise<IntakeAnswer> {
  const { type } = bundle;
  if (typeof type !== 'string' || !bundleTypes.has(type)) {
    throw invalid(
      '/type',
      'unsupported-bundle',
      'Bundles of type transaction, batch, collection, history and searchset are taken.',
    );
  }
  const told = bundle.entry ?? [];
  if (!Array.isArray(told)) throw invalid('/entry', 'wrong-type', 'The entries are an array.');
  if (told.length > bundleEntriesMax) {
    const detail = `A Bundle may have ${bundleEntriesMax} entries.`;
    throw new AppError('too-large', detail, {
      faults: [{ pointer: '/entry', code: 'too-many', detail }],
    });
  }
  const entries = told.map((entry, index) => readEntry(entry, index, bundle.timestamp));
  const relevant = type === 'history' ? entries.filter(isNoNotice).toReversed() : entries;
  return recordEntries(deps, caller, context, relevant);
}

/** A subscription's status, which stands first in its notification, is about the subscription. */
function isNoNotice({ resource }: BundleEntry): boolean {
  return resource?.resourceType !== 'Parameters' && resource?.resourceType !== 'SubscriptionStatus';
}

function readEntry(value: unknown, index: number, timestamp: unknown): BundleEntry {
  const entry = asObject(value);
  const request = asObject(entry.request);
  const response = asObject(entry.response);
  return {
    index,
    fullUrl: asText(entry.fullUrl),
    resource: isResource(entry.resource) ? entry.resource : null,
    method: asText(request.method),
    url: asText(request.url),
    modified: asText(response.lastModified) ?? asText(timestamp),
  };
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

const asText = (value: unknown): string | null => (typeof value === 'string' ? value : null);

async function recordEntries(
  deps: IntakeDeps,
  caller: Caller,
  context: ReadContext,
  entries: readonly BundleEntry[],
): Promise<IntakeAnswer> {
  const resources = entries.flatMap(({ fullUrl, resource }) =>
    resource === null ? [] : [{ fullUrl, resource }],
  );
  const references = createReferences(resources);
  const read = entries.map((entry) => ({ entry, result: readOne(entry, references, context) }));
  const events = read.flatMap(({ result }) => ('events' in result ? result.events : []));
  await completeNames(deps, caller, events);
  const outcomes = await commitEvents(deps, caller, events);
  const answer: IntakeAnswer = { accepted: 0, duplicates: 0, stale: 0, rejected: [] };
  let from = 0;
  for (const { entry, result } of read) {
    const id =
      entry.resource === null
        ? null
        : resourceId({ fullUrl: entry.fullUrl, resource: entry.resource });
    if ('problem' in result) {
      answer.rejected.push({ index: entry.index, id, problem: result.problem });
      continue;
    }
    const own = outcomes.slice(from, from + result.events.length);
    from += result.events.length;
    count(answer, ofEntry(own), entry.index, id);
  }
  answer.rejected.sort((a, b) => a.index - b.index);
  return answer;
}

const precedence = ['rejected', 'applied', 'unchanged', 'stale', 'duplicate'] as const;

/** An entry may be several events: a patient and a merge. */
function ofEntry(outcomes: readonly Outcome[]): Outcome {
  for (const kind of precedence) {
    const found = outcomes.find((outcome) => outcome.kind === kind);
    if (found !== undefined) return found;
  }
  return { kind: 'unchanged' };
}

type EntryReading = { events: ReadEvent[] } | { problem: Problem };

function readOne(entry: BundleEntry, references: References, context: ReadContext): EntryReading {
  const { resource } = entry;
  if (entry.method === 'DELETE') return readDeletion(entry, context);
  if (resource === null) {
    return { problem: refusal('payload-too-thin', '/resource', 'The entry carries no resource.') };
  }
  const mapping = mappings.get(resource.resourceType);
  if (mapping === undefined) {
    return {
      problem: refusal(
        'unsupported-resource',
        '/resourceType',
        'Resources of this type are not taken.',
      ),
    };
  }
  if (isTooComplex(resource)) {
    const detail = 'A resource may hold 5000 values, 20 levels deep.';
    return { problem: validationProblem([{ pointer: '', code: 'too-complex', detail }]) };
  }
  const id = resourceId({ fullUrl: entry.fullUrl, resource });
  if (id === null || !isHostId(id)) {
    const fault: Fault = {
      pointer: '/id',
      code: id === null ? 'missing' : 'wrong-form',
      detail: 'A resource is known by its id.',
    };
    return { problem: validationProblem([fault]) };
  }
  const mapped = mapping({ resource, id, references, context });
  if ('faults' in mapped) return { problem: validationProblem(mapped.faults) };
  const stamp = readStamp(entry, resource, id, context);
  if ('faults' in stamp) return { problem: validationProblem(stamp.faults) };
  if ('directory' in mapped) {
    const { directory } = mapped;
    const { occurredAt: _occurredAt, ...mark } = stamp;
    const body = JSON.stringify(directory.content);
    const type = `${directory.kind}.upserted`;
    return {
      events: [
        {
          ...mark,
          source: context.source,
          type,
          body,
          effect: { kind: 'directory', read: directory },
        },
      ],
    };
  }
  return readEvents(mapped.events, stamp, context);
}

interface Stamp {
  id: string;
  occurredAt: string;
  occurredMs: number;
  version: string | null;
}

/** The same version of a resource is the same event, whenever it comes again. */
function readStamp(
  entry: BundleEntry,
  resource: RawResource,
  id: string,
  context: ReadContext,
): Stamp | { faults: Fault[] } {
  const { lastUpdated, versionId } = asObject(resource.meta);
  const told = asText(lastUpdated) ?? entry.modified;
  const version = asText(versionId)?.slice(0, versionCharsMax) ?? null;
  const occurredAt = told ?? nowText(context);
  const findings: Findings = { faults: [], warnings: [] };
  const occurredMs = readTime(occurredAt, context.timeZone, '/meta/lastUpdated', findings);
  if (occurredMs === null) return { faults: findings.faults };
  const unstorable = textFaults(version, '/meta/versionId');
  if (unstorable.length > 0) return { faults: unstorable };
  const content = hash('sha256', JSON.stringify(resource), 'hex').slice(0, 32);
  // What names no version may go back to what it was before, which is no repetition.
  const mark =
    told === null && version === null
      ? uuidv7(Temporal.Instant.fromEpochMilliseconds(context.nowMs))
      : `${version ?? ''}:${occurredMs}`;
  return {
    id: `fhir:${resource.resourceType}/${id}:${mark}:${content}`,
    occurredAt,
    occurredMs: Math.min(occurredMs, context.nowMs),
    version,
  };
}

const versionCharsMax = 100;

const nowText = (context: ReadContext) =>
  Temporal.Instant.fromEpochMilliseconds(context.nowMs).toString();

function readEvents(
  mapped: readonly MappedEvent[],
  stamp: Stamp,
  context: ReadContext,
): EntryReading {
  const events: ReadEvent[] = [];
  for (const [position, { type, data, pointers }] of mapped.entries()) {
    const id = position === 0 ? stamp.id : `${stamp.id}:${position}`;
    const version = stamp.version === null ? {} : { version: stamp.version };
    const reading = readEvent(
      { id, type, occurredAt: stamp.occurredAt, ...version, data },
      context,
    );
    if ('faults' in reading) {
      return {
        problem: validationProblem(
          reading.faults.map((fault) => inTheirWords(fault, pointers ?? {})),
        ),
      };
    }
    events.push(reading.event);
  }
  return { events };
}

function inTheirWords(fault: Fault, pointers: Readonly<Record<string, string>>): Fault {
  const own = fault.pointer.replace(/^\/data/, '');
  return { ...fault, pointer: pointers[own] ?? own };
}

const deletedForm = /(?:^|\/)([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]{1,64})$/;

function readDeletion(entry: BundleEntry, context: ReadContext): EntryReading {
  const [, type = '', id = ''] = deletedForm.exec(entry.url ?? entry.fullUrl ?? '') ?? [];
  const noun = nouns.get(type);
  if (noun === undefined) {
    return {
      problem: refusal(
        'unsupported-resource',
        '/request/url',
        'Resources of this type are not deleted here.',
      ),
    };
  }
  const reading = deletion(noun, type, id, entry.modified ?? nowText(context), context);
  return 'event' in reading
    ? { events: [reading.event] }
    : { problem: validationProblem(reading.faults) };
}

/** Practitioners and locations that are named by id only get the name that the directory has. */
async function completeNames(
  deps: IntakeDeps,
  caller: Caller,
  events: readonly ReadEvent[],
): Promise<void> {
  const nameless = events.flatMap(({ effect }) =>
    effect.kind === 'visit' || effect.kind === 'appointment' ? [effect.read.content] : [],
  );
  const practitioners = idsOf(nameless, 'practitioner');
  const locations = idsOf(nameless, 'location');
  if (practitioners.length + locations.length === 0) return;
  const [practitionerNames, locationNames] = await withClinic(
    deps.db,
    caller.clinicId,
    async (trx) => [
      await directoryNames(trx, caller.clinicId, 'practitioner', caller.source, practitioners),
      await directoryNames(trx, caller.clinicId, 'location', caller.source, locations),
    ],
  );
  for (const content of nameless) {
    content.practitioner_name ??= practitionerNames?.get(content.practitioner_id ?? '') ?? null;
    content.location_name ??= locationNames?.get(content.location_id ?? '') ?? null;
  }
}

function idsOf(
  contents: readonly Record<`${'practitioner' | 'location'}_${'id' | 'name'}`, string | null>[],
  kind: 'practitioner' | 'location',
): string[] {
  const ids = contents.flatMap((content) =>
    content[`${kind}_name`] === null ? (content[`${kind}_id`] ?? []) : [],
  );
  return [...new Set(ids)];
}
