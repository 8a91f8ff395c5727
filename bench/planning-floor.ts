/**
 * What somebody would write by hand for each rule of `planning-clinic.ts`: one statement that finds who is due
 * on a day and stores journeys and messages as the planner does, in tables with the same indexes.
 */
import { startOf, zone } from './planning-clinic.ts';

interface FloorStatement {
  rule: string;
  /** Takes the rule's id as its only parameter. */
  text: string;
}

export function floorStatements(clinicId: string, dueDay: string): FloorStatement[] {
  const visits = (rule: string, after: number, where: string) => ({
    rule,
    text: store(clinicId, 'care', 'recall', dueVisits(clinicId, dueDay, after, where)),
  });
  return [
    visits('half a year', 180, 'true'),
    visits('hygiene', 120, `a.service_ids && '{s0}'`),
    visits('check-up', 365, `p.birth_date <= date '${dueDay}' - interval '35 years'`),
    visits('treatment', 90, `a.service_ids && '{s2,s3}'`),
    visits('women', 30, `p.gender = 'female'`),
    visits('insured or important', 270, `(p.tags && '{vip}' or p.payer_id = 'dms')`),
    visits('two weeks', 14, `a.service_ids && '{s4}'`),
    visits('no debtors', 240, `not p.tags && '{debtor}'`),
    {
      rule: 'birthday',
      text: store(clinicId, 'marketing', 'birthday', dueBirthdays(clinicId, dueDay)),
    },
    {
      rule: 'reminder',
      text: store(clinicId, 'transactional', 'reminder', dueAppointments(clinicId, dueDay)),
    },
  ];
}

function dueVisits(clinicId: string, dueDay: string, after: number, where: string): string {
  const anchorDay = Temporal.PlainDate.from(dueDay).subtract({ days: after });
  const from = startOf(anchorDay.toString());
  const until = startOf(anchorDay.add({ days: 1 }).toString());
  return `select p.id as patient_id, p.sms_address, p.deceased, p.active, a.occurrence,
      jsonb_build_object('kind', 'visit', 'source', a.source, 'id', a.external_id, 'at', a.anchor_at) as anchor,
      timestamptz '${tenOClock(dueDay)}' as due_at, interval '14 days' as catch_up,
      exists (select from appointments f where f.clinic_id = '${clinicId}' and f.patient_id = p.id
        and f.deleted_at is null and f.start_at > timestamptz '${tenOClock(dueDay)}'
        and f.status in ('proposed', 'pending', 'booked', 'arrived', 'checked-in')) as is_booked
    from attendances a join patients p on p.clinic_id = '${clinicId}' and p.id = a.patient_id
    left join lateral (
      -- The limit makes it a look into the index for each visit, and never a join with all visits.
      select true as is_later from attendances l where l.clinic_id = '${clinicId}' and l.patient_id = a.patient_id
        and l.anchor_at >= a.anchor_at and (l.anchor_at > a.anchor_at or l.occurrence > a.occurrence) limit 1) l on true
    where a.clinic_id = '${clinicId}' and a.anchor_at >= '${from}' and a.anchor_at < '${until}'
      and p.is_known and p.replaced_by is null and ${where} and l.is_later is null`;
}

function dueBirthdays(clinicId: string, dueDay: string): string {
  const { year, month, day } = Temporal.PlainDate.from(dueDay);
  return `select p.id as patient_id, p.sms_address, p.deceased, p.active, 'birthday:${year}' as occurrence,
      jsonb_build_object('kind', 'birthday', 'at', p.birth_date) as anchor,
      timestamptz '${tenOClock(dueDay)}' as due_at, interval '11 hours' as catch_up,
      exists (select from appointments f where f.clinic_id = '${clinicId}' and f.patient_id = p.id
        and f.deleted_at is null and f.start_at > timestamptz '${tenOClock(dueDay)}'
        and f.status in ('proposed', 'pending', 'booked', 'arrived', 'checked-in')) as is_booked
    from patients p
    where p.clinic_id = '${clinicId}' and p.birth_day = ${month * 100 + day} and p.is_known and p.replaced_by is null`;
}

function dueAppointments(clinicId: string, dueDay: string): string {
  const day = Temporal.PlainDate.from(dueDay);
  const from = startOf(day.add({ days: 1 }).toString());
  const until = startOf(day.add({ days: 2 }).toString());
  return `select p.id as patient_id, p.sms_address, p.deceased, p.active,
      'appointment:' || a.external_id || ':r' || a.start_revision || ':P1D' as occurrence,
      jsonb_build_object('kind', 'appointment', 'source', a.source, 'id', a.external_id, 'at', a.start_at) as anchor,
      a.start_at - interval '24 hours' as due_at, interval '4 hours' as catch_up, false as is_booked
    from appointments a join patients p on p.clinic_id = '${clinicId}' and p.id = a.patient_id
    where a.clinic_id = '${clinicId}' and a.deleted_at is null and a.start_at >= '${from}' and a.start_at < '${until}'
      and a.status in ('proposed', 'pending', 'booked', 'arrived', 'checked-in') and p.is_known and p.replaced_by is null`;
}

function store(clinicId: string, purpose: string, template: string, due: string): string {
  // Transactional messages go unless denied, the others only if granted.
  const blocked =
    purpose === 'transactional'
      ? `exists (select from consents c where c.clinic_id = '${clinicId}' and c.patient_id = d.patient_id
          and c.purpose = '${purpose}' and c.channel = 'sms' and c.state = 'denied')`
      : `not exists (select from consents c where c.clinic_id = '${clinicId}' and c.patient_id = d.patient_id
          and c.purpose = '${purpose}' and c.channel = 'sms' and c.state = 'granted')`;
  return `with due as (${due}), judged as materialized (
      select gen_random_uuid() as journey_id, d.*, case when d.deceased then 'deceased'
        when not d.active then 'inactive' when d.is_booked then 'future-appointment'
        when d.sms_address is null then 'no-contact-point' when ${blocked} then 'no-consent'
        when exists (select from opt_outs o where o.clinic_id = '${clinicId}' and o.lifted_at is null
          and (o.patient_id = d.patient_id or o.address = d.sms_address)) then 'opted-out' end as reason
      from due d
    ), journeys as (
      insert into floor_journeys (clinic_id, id, rule_id, rule_version, patient_id, occurrence, anchor, due_at, expires_at,
        state, reason, next_at, created_at, updated_at)
      select '${clinicId}', journey_id, $1::uuid, 1, patient_id, occurrence, anchor, due_at, due_at + catch_up,
        case when reason is null then 'active' when reason in ('deceased', 'opted-out') then 'suppressed' else 'held' end,
        reason, case when reason is null then null else due_at end, now(), now()
      from judged on conflict do nothing returning id
    )
    insert into floor_messages (clinic_id, id, rule_id, rule_version, journey_id, step, occurrence, patient_id, purpose,
      channel, template, address, guard, state, reason, scheduled_at, expires_at, next_at, created_at, updated_at)
    select '${clinicId}', gen_random_uuid(), $1::uuid, 1, journey_id, 0, occurrence, patient_id, '${purpose}',
      'sms', '${template}', sms_address, jsonb_build_object('since', due_at, 'unlessBooked', true, 'anchor', anchor),
      case when reason is null then 'scheduled' when reason in ('deceased', 'opted-out') then 'suppressed' else 'held' end,
      reason, due_at, due_at + catch_up, case when reason in ('deceased', 'opted-out') then null else due_at end, now(), now()
    from judged join journeys on journeys.id = judged.journey_id`;
}

function tenOClock(day: string): string {
  return Temporal.PlainDate.from(day)
    .toZonedDateTime({ timeZone: zone, plainTime: '10:00' })
    .toInstant()
    .toString();
}
