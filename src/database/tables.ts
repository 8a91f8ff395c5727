import type { ColumnType, Generated, GeneratedAlways } from 'kysely';

/**
 * One interface for each table: the column names. `jsonb` columns are read as values and written as
 * JSON text, so that both engines take them alike.
 */

type Instant = Temporal.Instant;
/** Read as a value, written as `JSON.stringify(value)`. */
export type Json<T> = ColumnType<T, string, string>;
export type JsonDefault<T> = ColumnType<T, string | undefined, string>;
type Nullable<T> = ColumnType<T | null, T | null | undefined, T | null>;

export type Purpose = 'transactional' | 'care' | 'marketing';
export type ChannelName = 'sms' | 'email' | 'whatsapp' | 'telegram' | 'webhook' | 'inbox' | 'task';
export type ConsentChannel = 'sms' | 'email' | 'whatsapp' | 'telegram' | 'call' | 'inbox';
export type ConsentState = 'granted' | 'denied' | 'unknown';

export interface Named {
  id: string;
  name?: string;
}

/** A contact point as the host sent it, with what we made of it. */
export interface StoredTelecom {
  system: string;
  value: string;
  use?: string;
  rank?: number;
  /** The normalised address; absent when the value cannot be dialled. */
  address?: string;
  /** Why there is no address. */
  reason?: string;
}

export interface Warning {
  pointer: string;
  code: string;
}

export interface ClinicsTable {
  id: string;
  number: GeneratedAlways<number>;
  name: string;
  time_zone: string;
  country: string;
  language: string;
  currency: string;
  mode: 'live' | 'test';
  test_now: Nullable<Instant>;
  test_target: Nullable<Instant>;
  settings: JsonDefault<Record<string, unknown>>;
  created_at: Generated<Instant>;
}

export interface KeyIndexTable {
  hash: Uint8Array;
  clinic_id: string;
  key_id: string;
}

export interface ClinicWorkTable {
  clinic_id: string;
  kind: 'plan' | 'dispatch' | 'reconcile' | 'webhook' | 'desk';
  next_at: Nullable<Instant>;
  served_at: Generated<Instant>;
}

export interface KeysTable {
  clinic_id: string;
  id: string;
  name: string;
  source: string;
  scopes: string[];
  prefix: string;
  created_at: Instant;
  revoked_at: Nullable<Instant>;
}

export interface IdempotencyKeysTable {
  clinic_id: string;
  key_id: string;
  route: string;
  key: string;
  request_hash: Uint8Array;
  status: Nullable<number>;
  answer: Nullable<Uint8Array>;
  created_at: Instant;
}

export interface AuditEntriesTable {
  clinic_id: string;
  id: string;
  at: Instant;
  actor: string;
  action: string;
  subject: string;
  detail: JsonDefault<Record<string, unknown>>;
}

export interface ContactPointsTable {
  clinic_id: string;
  address: string;
  kind: 'phone' | 'email' | 'telegram';
  country: Nullable<string>;
}

/** Columns every object of the host has: what orders its updates, and whether it is deleted. */
interface HostObject {
  deleted_at: Nullable<Instant>;
  occurred_at: Nullable<Instant>;
  version: Nullable<string>;
  content_hash: Nullable<Uint8Array>;
}

export interface PatientsTable extends HostObject {
  clinic_id: string;
  id: string;
  source: string;
  external_id: string;
  is_known: boolean;
  family: Nullable<string>;
  given: Nullable<string>;
  middle: Nullable<string>;
  preferred: Nullable<string>;
  name_text: Nullable<string>;
  birth_date: Nullable<string>;
  birth_date_text: Nullable<string>;
  birth_day: GeneratedAlways<number | null>;
  gender: Nullable<'male' | 'female' | 'other' | 'unknown'>;
  language: Nullable<string>;
  time_zone: Nullable<string>;
  preferred_channel: Nullable<string>;
  reminder_preference: ColumnType<unknown, string | null | undefined, string | null>;
  tags: Generated<string[]>;
  payer_id: Nullable<string>;
  payer_name: Nullable<string>;
  household: Nullable<string>;
  guardian_id: Nullable<string>;
  referred_by: Nullable<string>;
  city: Nullable<string>;
  acquisition: ColumnType<unknown, string | null | undefined, string | null>;
  active: Generated<boolean>;
  deceased: Generated<boolean>;
  attributes: JsonDefault<Record<string, unknown>>;
  telecom: JsonDefault<StoredTelecom[]>;
  sms_address: Nullable<string>;
  email_address: Nullable<string>;
  whatsapp_address: Nullable<string>;
  telegram_address: Nullable<string>;
  linked_chat: Nullable<string>;
  warnings: JsonDefault<Warning[]>;
  replaced_by: Nullable<string>;
  merged_at: Nullable<Instant>;
  erased_at: Nullable<Instant>;
  created_at: Instant;
  updated_at: Instant;
}

export interface PatientContactPointsTable {
  clinic_id: string;
  patient_id: string;
  address: string;
}

export interface DirectoryEntriesTable extends HostObject {
  clinic_id: string;
  kind: 'practitioner' | 'location' | 'organization';
  source: string;
  external_id: string;
  name: Nullable<string>;
  time_zone: Nullable<string>;
  phone: Nullable<string>;
  address: Nullable<string>;
  updated_at: Instant;
}

interface Encountered extends HostObject {
  clinic_id: string;
  source: string;
  external_id: string;
  patient_id: Nullable<string>;
  time_zone: Nullable<string>;
  practitioner_id: Nullable<string>;
  practitioner_name: Nullable<string>;
  services: JsonDefault<Named[]>;
  service_ids: Generated<string[]>;
  location_id: Nullable<string>;
  location_name: Nullable<string>;
  payer_id: Nullable<string>;
  payer_name: Nullable<string>;
  warnings: JsonDefault<Warning[]>;
  created_at: Instant;
  updated_at: Instant;
}

export interface AppointmentsTable extends Encountered {
  status: Nullable<string>;
  confirmation: Nullable<string>;
  start_at: Nullable<Instant>;
  end_at: Nullable<Instant>;
  start_revision: Generated<number>;
  booked_at: Instant;
  host_created_at: Nullable<Instant>;
  rescheduled_from: Nullable<string>;
  source_status: ColumnType<unknown, string | null | undefined, string | null>;
}

export interface VisitsTable extends Encountered {
  appointment_id: Nullable<string>;
  status: Nullable<string>;
  started_at: Nullable<Instant>;
  ended_at: Nullable<Instant>;
  anchor_at: GeneratedAlways<Instant | null>;
  amount_minor: Nullable<number>;
  currency: Nullable<string>;
  facts: Generated<string[]>;
}

/** A view: a finished visit, or a fulfilled appointment that has no visit of its own. */
export interface AttendancesView {
  clinic_id: string;
  patient_id: string;
  source: string;
  external_id: string;
  kind: 'visit' | 'appointment';
  anchor_at: Instant;
  started_at: Instant | null;
  occurrence: string;
  appointment_id: string | null;
  practitioner_id: string | null;
  practitioner_name: string | null;
  services: Named[];
  service_ids: string[];
  location_id: string | null;
  location_name: string | null;
  payer_id: string | null;
  amount_minor: number | null;
  currency: string | null;
  facts: string[];
  time_zone: string | null;
  created_at: Instant;
}

export interface ConsentsTable {
  clinic_id: string;
  patient_id: string;
  purpose: Purpose;
  channel: ConsentChannel;
  state: ConsentState;
  evidence: Nullable<string>;
  evidence_at: Nullable<Instant>;
  occurred_at: Instant;
}

export interface OptOutsTable {
  clinic_id: string;
  id: string;
  patient_id: Nullable<string>;
  address: Nullable<string>;
  channel: Nullable<string>;
  purpose: Nullable<Purpose>;
  origin: 'api' | 'reply' | 'link' | 'provider' | 'staff';
  created_at: Instant;
  lifted_at: Nullable<Instant>;
  lifted_by: Nullable<string>;
}

export interface ReplanTable {
  clinic_id: string;
  mark: GeneratedAlways<number>;
  patient_id: string;
}

export interface IntakeEventsTable {
  clinic_id: string;
  source: string;
  event_id: string;
  type: string;
  occurred_at: Instant;
  version: Nullable<string>;
  received_at: Instant;
  patient_id: Nullable<string>;
  body: Json<unknown>;
  outcome: 'applied' | 'unchanged' | 'stale';
}

export interface TemplatesTable {
  clinic_id: string;
  name: string;
  purpose: Purpose;
  bodies: Json<Record<string, Record<string, { subject?: string; text: string; html?: string }>>>;
  updated_at: Instant;
}

export interface ChannelsTable {
  clinic_id: string;
  channel: ChannelName;
  provider: string;
  enabled: boolean;
  credentials: Nullable<Uint8Array>;
  options: JsonDefault<Record<string, unknown>>;
  tariff: JsonDefault<Record<string, string>>;
  limits: JsonDefault<{ perSecond?: number; concurrency?: number }>;
  paused_reason: Nullable<string>;
  paused_at: Nullable<Instant>;
  resume_at: Nullable<Instant>;
  next_slot_at: Nullable<Instant>;
  poll_cursor: Nullable<string>;
  updated_at: Instant;
}

export interface RulesTable {
  clinic_id: string;
  id: string;
  name: string;
  state: 'draft' | 'active' | 'paused';
  version: number;
  definition: Json<unknown>;
  active_from: Nullable<Instant>;
  planned_through: Nullable<Instant>;
  backlog_day: Nullable<string>;
  moved_from_version: Nullable<number>;
  created_at: Instant;
  updated_at: Instant;
  deleted_at: Nullable<Instant>;
}

export interface RuleVersionsTable {
  clinic_id: string;
  rule_id: string;
  version: number;
  definition: Json<unknown>;
  changed_at: Instant;
  changed_by: string;
}

export type JourneyState =
  | 'planned'
  | 'active'
  | 'held'
  | 'finished'
  | 'suppressed'
  | 'cancelled'
  | 'expired';

export interface JourneysTable {
  clinic_id: string;
  id: string;
  rule_id: string;
  rule_version: number;
  patient_id: string;
  occurrence: string;
  anchor: Json<Record<string, unknown>>;
  due_at: Instant;
  expires_at: Instant;
  state: JourneyState;
  reason: Nullable<string>;
  step: Generated<number>;
  next_at: Nullable<Instant>;
  holdout: Generated<boolean>;
  entered_at: Nullable<Instant>;
  was_due_at: Nullable<Instant>;
  created_at: Instant;
  updated_at: Instant;
}

export interface RecallOverridesTable {
  clinic_id: string;
  rule_id: string;
  patient_id: string;
  after_period: Nullable<string>;
  due_on: Nullable<string>;
  due_for: Generated<string[]>;
  disabled_until: Nullable<string>;
  reason: Nullable<string>;
  set_by: string;
  set_at: Instant;
}

export type MessageState =
  | 'scheduled'
  | 'held'
  | 'claimed'
  | 'sending'
  | 'sent'
  | 'delivered'
  | 'read'
  | 'unknown'
  | 'retry'
  | 'failed'
  | 'expired'
  | 'cancelled'
  | 'suppressed';

export interface MessagesTable {
  clinic_id: string;
  id: string;
  rule_id: Nullable<string>;
  rule_version: Nullable<number>;
  journey_id: Nullable<string>;
  step: Nullable<number>;
  occurrence: Nullable<string>;
  journey_continues: Generated<boolean>;
  patient_id: string;
  purpose: Purpose;
  channel: ChannelName;
  template: Nullable<string>;
  body: ColumnType<
    { subject?: string; text: string } | null,
    string | null | undefined,
    string | null
  >;
  provider: Nullable<string>;
  address: Nullable<string>;
  language: Nullable<string>;
  priority: Generated<number>;
  on_ambiguous: Generated<'at-most-once' | 'at-least-once'>;
  guard: JsonDefault<Record<string, unknown>>;
  state: MessageState;
  reason: Nullable<string>;
  scheduled_at: Instant;
  expires_at: Instant;
  next_at: Nullable<Instant>;
  lease_epoch: Generated<number>;
  lease_until: Nullable<Instant>;
  attempt_no: Generated<number>;
  client_ref: Nullable<string>;
  provider_message_id: Nullable<string>;
  cancel_requested: Generated<boolean>;
  not_found_at: Nullable<Instant>;
  sent_at: Nullable<Instant>;
  delivered_at: Nullable<Instant>;
  read_at: Nullable<Instant>;
  replied_at: Nullable<Instant>;
  clicked_at: Nullable<Instant>;
  settled_at: Nullable<Instant>;
  subject: Nullable<string>;
  text: Nullable<string>;
  encoding: Nullable<string>;
  segments: Nullable<number>;
  cost_micros: Nullable<number>;
  cost_currency: Nullable<string>;
  carried_by: Nullable<string>;
  created_at: Instant;
  updated_at: Instant;
}

export interface AttemptsTable {
  clinic_id: string;
  message_id: string;
  attempt_no: number;
  provider: string;
  client_ref: string;
  started_at: Instant;
  finished_at: Nullable<Instant>;
  outcome: Nullable<'accepted' | 'rejected' | 'unknown'>;
  provider_message_id: Nullable<string>;
  error_class: Nullable<string>;
  provider_code: Nullable<string>;
  http_status: Nullable<number>;
}

export interface ReceiptsTable {
  clinic_id: string;
  channel: string;
  dedupe_key: string;
  message_id: Nullable<string>;
  status: string;
  error_class: Nullable<string>;
  provider_code: Nullable<string>;
  occurred_at: Instant;
  received_at: Instant;
}

export interface ContactDaysTable {
  clinic_id: string;
  address: string;
  purpose: Purpose;
  local_day: string;
  message_id: Nullable<string>;
  /** The contact made outside that it is. */
  outside_id: Nullable<string>;
}

export interface NamedDaysTable {
  clinic_id: string;
  patient_id: string;
  message_id: string;
  purpose: Purpose;
  local_day: string;
}

export interface OutsideContactsTable {
  clinic_id: string;
  id: string;
  source: string;
  event_id: string;
  patient_id: string;
  channel: ConsentChannel;
  purpose: Purpose;
  at: Instant;
  created_at: Instant;
}

export interface DispatchDaysTable {
  clinic_id: string;
  local_day: string;
  messages: number;
}

export interface RuleDaysTable {
  clinic_id: string;
  rule_id: string;
  local_day: string;
  /** Journeys whose first message left that day. */
  contacts: Generated<number>;
  cost_micros: Generated<number>;
  messages: Generated<number>;
  /** How many first contacts the last look at the day foresaw. */
  foreseen: Nullable<number>;
  anomaly: Nullable<'held' | 'released'>;
  usual: Nullable<number>;
  waiting: Nullable<number>;
}

export interface CapacitiesTable {
  clinic_id: string;
  local_day: string;
  /** Empty for any. */
  service: string;
  practitioner: string;
  free: number;
  occurred_at: Instant;
  version: Nullable<string>;
  updated_at: Instant;
}

export interface HoldoutAssignmentsTable {
  clinic_id: string;
  rule_id: string;
  unit: string;
  arm: 'holdout' | 'treated';
  assigned_at: Instant;
}

export interface TreatmentsTable {
  clinic_id: string;
  source: string;
  external_id: string;
  patient_id: string;
  steps: Json<unknown>;
  next_step: Nullable<string>;
  next_service: Nullable<string>;
  next_due_on: Nullable<string>;
  occurred_at: Instant;
  version: Nullable<string>;
  content_hash: Uint8Array;
  created_at: Instant;
  updated_at: Instant;
}

export interface PaymentsTable {
  clinic_id: string;
  source: string;
  external_id: string;
  patient_id: string;
  visit_id: Nullable<string>;
  kind: 'payment' | 'refund' | 'deposit';
  amount_minor: number;
  currency: string;
  paid_at: Instant;
  occurred_at: Instant;
  version: Nullable<string>;
  content_hash: Uint8Array;
  created_at: Instant;
  updated_at: Instant;
}

export interface SegmentsTable {
  clinic_id: string;
  name: string;
  description: Nullable<string>;
  audience: Json<unknown>;
  created_at: Instant;
  updated_at: Instant;
}

export interface TasksTable {
  clinic_id: string;
  id: string;
  patient_id: Nullable<string>;
  rule_id: Nullable<string>;
  message_id: Nullable<string>;
  /** What the patient asked for; null where a rule asks staff to call. */
  asks: Nullable<'answer' | 'cancel' | 'other-time' | 'rating' | 'details' | 'callback'>;
  /** The conversation that it asks to answer. */
  thread_id: Nullable<string>;
  /** Whom to call where no patient is known. */
  phone: Nullable<string>;
  state: 'open' | 'done';
  due_at: Instant;
  assignee: Nullable<string>;
  text: string;
  outcome: Nullable<string>;
  note: Nullable<string>;
  loss_reason: Nullable<string>;
  created_at: Instant;
  updated_at: Instant;
}

export interface RepliesTable {
  clinic_id: string;
  id: string;
  channel: ChannelName;
  address: Nullable<string>;
  patient_id: Nullable<string>;
  message_id: Nullable<string>;
  text: string;
  score: Nullable<number>;
  /** What we took it for. */
  meaning: 'stop' | 'start' | 'confirm' | 'cancel' | 'other';
  dedupe_key: string;
  received_at: Instant;
}

export interface ThreadsTable {
  clinic_id: string;
  id: string;
  patient_id: Nullable<string>;
  address: Nullable<string>;
  channel: Nullable<Exclude<ChannelName, 'task'>>;
  state: 'open' | 'closed';
  waiting_since: Nullable<Instant>;
  answer_by: Nullable<Instant>;
  last_at: Instant;
  created_at: Instant;
  updated_at: Instant;
}

export interface CallbacksTable {
  clinic_id: string;
  id: string;
  patient_id: Nullable<string>;
  phone: Nullable<string>;
  note: string;
  requested_at: Instant;
}

export type StaffTopic = 'task' | 'thread' | 'callback' | 'digest';

export interface StaffTable {
  clinic_id: string;
  name: string;
  email: Nullable<string>;
  phone: Nullable<string>;
  notify: StaffTopic[];
  language: string;
  url: Nullable<string>;
  digest_at: Nullable<Instant>;
  created_at: Instant;
  updated_at: Instant;
}

export interface StaffNoticesTable {
  clinic_id: string;
  id: string;
  staff: string;
  channel: 'sms' | 'email';
  topic: StaffTopic;
  state: Generated<'waiting' | 'sending' | 'sent' | 'failed' | 'unknown' | 'expired'>;
  reason: Nullable<string>;
  due_at: Instant;
  next_at: Nullable<Instant>;
  lease_until: Nullable<Instant>;
  attempt_no: Generated<number>;
  provider: Nullable<string>;
  provider_message_id: Nullable<string>;
  subject: Nullable<string>;
  text: Nullable<string>;
  sent_at: Nullable<Instant>;
  created_at: Instant;
  updated_at: Instant;
}

export interface WebhooksTable {
  clinic_id: string;
  name: string;
  url: string;
  events: string[];
  source: string;
  secret: Uint8Array;
  previous_secret: Nullable<Uint8Array>;
  previous_until: Nullable<Instant>;
  state: Generated<'active' | 'paused' | 'disabled'>;
  stopped_at: Nullable<Instant>;
  failures: Generated<number>;
  failing_since: Nullable<Instant>;
  rests_until: Nullable<Instant>;
  lease_epoch: Generated<number>;
  lease_until: Nullable<Instant>;
  created_at: Instant;
  updated_at: Instant;
}

export interface HostEventsTable {
  clinic_id: string;
  id: string;
  position: GeneratedAlways<number>;
  type: string;
  occurred_at: Instant;
  /** Ids of the host as `source~id`. */
  host_ids: JsonDefault<Record<string, string | null>>;
  data: JsonDefault<Record<string, unknown>>;
  created_at: Generated<Instant>;
}

export interface WebhookDeliveriesTable {
  clinic_id: string;
  webhook: string;
  event_id: string;
  position: number;
  state: Generated<'waiting' | 'done' | 'failed'>;
  next_at: Nullable<Instant>;
  attempt_no: Generated<number>;
  tries: Generated<number>;
  first_tried_at: Nullable<Instant>;
  settled_at: Nullable<Instant>;
}

export interface WebhookAttemptsTable {
  clinic_id: string;
  webhook: string;
  event_id: string;
  attempt_no: number;
  started_at: Instant;
  duration_ms: number;
  http_status: Nullable<number>;
  reason: Nullable<string>;
}

export interface Tables {
  clinics: ClinicsTable;
  key_index: KeyIndexTable;
  clinic_work: ClinicWorkTable;
  keys: KeysTable;
  idempotency_keys: IdempotencyKeysTable;
  audit_entries: AuditEntriesTable;
  contact_points: ContactPointsTable;
  patients: PatientsTable;
  patient_contact_points: PatientContactPointsTable;
  directory_entries: DirectoryEntriesTable;
  appointments: AppointmentsTable;
  visits: VisitsTable;
  attendances: AttendancesView;
  consents: ConsentsTable;
  opt_outs: OptOutsTable;
  replan: ReplanTable;
  intake_events: IntakeEventsTable;
  templates: TemplatesTable;
  channels: ChannelsTable;
  rules: RulesTable;
  rule_versions: RuleVersionsTable;
  journeys: JourneysTable;
  messages: MessagesTable;
  attempts: AttemptsTable;
  receipts: ReceiptsTable;
  contact_days: ContactDaysTable;
  named_days: NamedDaysTable;
  outside_contacts: OutsideContactsTable;
  dispatch_days: DispatchDaysTable;
  rule_days: RuleDaysTable;
  capacities: CapacitiesTable;
  holdout_assignments: HoldoutAssignmentsTable;
  recall_overrides: RecallOverridesTable;
  treatments: TreatmentsTable;
  payments: PaymentsTable;
  segments: SegmentsTable;
  tasks: TasksTable;
  replies: RepliesTable;
  threads: ThreadsTable;
  callbacks: CallbacksTable;
  staff: StaffTable;
  staff_notices: StaffNoticesTable;
  webhooks: WebhooksTable;
  host_events: HostEventsTable;
  webhook_deliveries: WebhookDeliveriesTable;
  webhook_attempts: WebhookAttemptsTable;
}
