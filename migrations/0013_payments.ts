import { type Kysely, sql } from 'kysely';

/** What patients paid: it stops what asks for it, and tells who owes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table payments (
      clinic_id uuid not null,
      source text not null,
      external_id text not null,
      patient_id uuid not null,
      -- The host's, of the same source; it may come later than its payment.
      visit_id text,
      kind text not null check (kind in ('payment', 'refund', 'deposit')),
      amount_minor bigint not null check (amount_minor >= 0),
      currency text not null check (currency ~ '^[A-Z]{3}$'),
      paid_at timestamptz not null,
      occurred_at timestamptz not null,
      version text,
      content_hash bytea not null,
      created_at timestamptz not null,
      updated_at timestamptz not null,
      primary key (clinic_id, source, external_id),
      foreign key (clinic_id, patient_id) references patients
    )`.execute(db);
  await sql`create index payments_patient on payments (clinic_id, patient_id, paid_at)`.execute(db);
  await sql`call protect_clinic_table('payments')`.execute(db);
}
