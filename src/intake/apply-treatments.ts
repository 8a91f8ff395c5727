import { type Batch, contentHash, type Item } from './batch.ts';
import { groupBySource, keyOf, personOf, survivorOf } from './person-book.ts';
import { nextStep, type ReadTreatment } from './treatment.ts';
import {
  findTreatments,
  type StoredTreatment,
  type TreatmentWrite,
  upsertTreatments,
} from './treatment-store.ts';
import { compareWatermarks } from './watermark.ts';

/** Treatment plans: the last that was told of each counts. */
export async function applyTreatments(batch: Batch): Promise<void> {
  const told = batch.items.flatMap((item) => {
    const { effect } = item.event;
    return effect.kind === 'treatment' ? [{ item, read: effect.read }] : [];
  });
  if (told.length === 0) return;
  const known = await knownOf(
    batch,
    told.map(({ read }) => read),
  );
  const written = new Map<string, TreatmentWrite>();
  for (const { item, read } of told) upsertOne(batch, item, read, known, written);
  const inOrder = [...written].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  await upsertTreatments(batch.trx, batch.clinicId, inOrder, batch.now);
}

async function knownOf(
  { trx, clinicId }: Batch,
  reads: readonly ReadTreatment[],
): Promise<Map<string, StoredTreatment>> {
  const known = new Map<string, StoredTreatment>();
  for (const [source, ids] of groupBySource(reads.map(({ key }) => key))) {
    for (const found of await findTreatments(trx, clinicId, source, ids)) {
      known.set(keyOf(source, found.external_id), found);
    }
  }
  return known;
}

function upsertOne(
  batch: Batch,
  item: Item,
  read: ReadTreatment,
  known: Map<string, StoredTreatment>,
  written: Map<string, TreatmentWrite>,
): void {
  const patient = survivorOf(batch.book, personOf(batch.book, read.patient));
  item.patientId = patient.id;
  if (patient.is_erased) {
    item.outcome = { kind: 'unchanged' };
    item.isBlank = true;
    return;
  }
  const key = keyOf(read.key.source, read.key.externalId);
  const before = known.get(key);
  const { occurredMs, version } = item.event;
  const isOlder =
    before !== undefined &&
    compareWatermarks(item.event, { occurredMs: before.occurred_ms, version: before.version }) < 0;
  if (isOlder) {
    item.outcome = { kind: 'stale' };
    return;
  }
  const hash = contentHash(JSON.stringify([patient.id, read.steps]));
  if (before?.hash === hash) item.outcome = { kind: 'unchanged' };
  else {
    item.outcome = { kind: 'applied', isNew: before === undefined };
    if (before !== undefined) batch.touched.add(before.patient_id);
    batch.touched.add(patient.id);
  }
  const next = nextStep(read.steps);
  const row = {
    source: read.key.source,
    external_id: read.key.externalId,
    patient_id: patient.id,
    occurred_ms: occurredMs,
    version,
    hash,
    steps: read.steps,
    next_step: next?.id ?? null,
    next_service: next?.service ?? null,
    next_due_on: next?.dueOn ?? null,
  };
  known.set(key, row);
  written.set(key, row);
}
