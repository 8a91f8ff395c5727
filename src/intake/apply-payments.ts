import { type Batch, contentHash, type Item } from './batch.ts';
import type { ReadPayment } from './payment.ts';
import {
  findPayments,
  type PaymentWrite,
  type StoredPayment,
  upsertPayments,
} from './payment-store.ts';
import { groupBySource, keyOf, personOf, survivorOf } from './person-book.ts';
import { compareWatermarks } from './watermark.ts';

/** Payments: the last that was told of each counts. */
export async function applyPayments(batch: Batch): Promise<void> {
  const told = batch.items.flatMap((item) => {
    const { effect } = item.event;
    return effect.kind === 'payment' ? [{ item, read: effect.read }] : [];
  });
  if (told.length === 0) return;
  const known = new Map<string, StoredPayment>();
  for (const [source, ids] of groupBySource(told.map(({ read }) => read.key))) {
    for (const found of await findPayments(batch.trx, batch.clinicId, source, ids)) {
      known.set(keyOf(source, found.external_id), found);
    }
  }
  const written = new Map<string, PaymentWrite>();
  for (const { item, read } of told) putOne(batch, item, read, known, written);
  const inOrder = [...written].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
  await upsertPayments(batch.trx, batch.clinicId, inOrder, batch.now);
}

function putOne(
  batch: Batch,
  item: Item,
  read: ReadPayment,
  known: Map<string, StoredPayment>,
  written: Map<string, PaymentWrite>,
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
  const watermark = before && { occurredMs: before.occurred_ms, version: before.version };
  if (watermark && compareWatermarks(item.event, watermark) < 0) {
    item.outcome = { kind: 'stale' };
    return;
  }
  const { visitId, kind, amountMinor, currency } = read;
  const paidMs = read.paidMs ?? occurredMs;
  const hash = contentHash(
    JSON.stringify([patient.id, visitId, kind, amountMinor, currency, paidMs]),
  );
  if (before?.hash === hash) item.outcome = { kind: 'unchanged' };
  else {
    item.outcome = { kind: 'applied', isNew: before === undefined };
    if (before !== undefined) batch.touched.add(before.patient_id);
    batch.touched.add(patient.id);
  }
  const row = {
    source: read.key.source,
    external_id: read.key.externalId,
    patient_id: patient.id,
    occurred_ms: occurredMs,
    version,
    hash,
    visit_id: visitId,
    kind,
    amount_minor: amountMinor,
    currency,
    paid_ms: paidMs,
  };
  known.set(key, row);
  written.set(key, row);
}
