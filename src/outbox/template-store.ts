import { sql } from 'kysely';
import { channelNames } from '../channels/channel.ts';
import type { Trx } from '../database/connect.ts';
import type { ChannelName, Purpose } from '../database/tables.ts';
import { AppError, type Fault, inputErrorCode } from '../errors.ts';
import { escapePointer } from '../schema-faults.ts';
import { recheckHeld } from './message-store.ts';
import { readyMadeTemplates } from './ready-made/index.ts';
import {
  type CompiledBody,
  checkBodies,
  compileBody,
  pickLanguage,
  type TemplateBodies,
  type TemplateBody,
} from './template.ts';

/** A clinic's templates by name. */

export interface TemplateIn {
  purpose: Purpose;
  bodies: TemplateBodies;
}

export interface Template extends TemplateIn {
  name: string;
  updatedAt: Temporal.Instant;
}

/** Named in the answer when it is reached. */
export const templatesMax = 500;

/**
 * Stores a template whole; messages that waited for its text are looked at again.
 * @throws AppError `validation` naming every fault, `unprocessable` over the limit.
 */
export async function putTemplate(
  trx: Trx,
  clinicId: string,
  name: string,
  input: TemplateIn,
  now: Temporal.Instant,
): Promise<{ template: Template; isNew: boolean }> {
  const faults = [...channelFaults(input.bodies), ...checkBodies(input.bodies)];
  if (faults.length > 0)
    throw new AppError(inputErrorCode(faults), 'The template has faults.', {
      faults: faults.slice(0, 100),
    });
  await refuseOverLimit(trx, clinicId, name);
  const values = { purpose: input.purpose, bodies: JSON.stringify(input.bodies), updated_at: now };
  const { rows } = await sql<{ is_new: boolean }>`
    insert into templates (clinic_id, name, purpose, bodies, updated_at)
    values (${clinicId}, ${name}, ${values.purpose}, ${values.bodies}::jsonb, ${now})
    on conflict (clinic_id, name) do update set
      purpose = excluded.purpose, bodies = excluded.bodies, updated_at = excluded.updated_at
    returning xmax = 0 as is_new`.execute(trx);
  await recheckHeld(trx, clinicId, { reasons: ['no-template', 'template-data'] }, now);
  return { template: { name, ...input, updatedAt: now }, isNew: rows[0]?.is_new ?? true };
}

function channelFaults(bodies: TemplateBodies): Fault[] {
  return Object.keys(bodies)
    .filter((channel) => !channelNames.some((known) => known === channel))
    .map((channel) => ({
      pointer: `/bodies/${escapePointer(channel)}`,
      code: 'unknown-channel',
      detail: `A body is for one of ${channelNames.join(', ')}.`,
    }));
}

async function refuseOverLimit(trx: Trx, clinicId: string, name: string): Promise<void> {
  const { rows } = await sql<{ others: number }>`
    select count(*)::int as others from templates
    where clinic_id = ${clinicId} and name <> ${name}`.execute(trx);
  if ((rows[0]?.others ?? 0) >= templatesMax)
    throw new AppError('unprocessable', `A clinic has at most ${templatesMax} templates.`);
}

const columns = ['name', 'purpose', 'bodies', 'updated_at'] as const;

export async function findTemplate(
  trx: Trx,
  clinicId: string,
  name: string,
): Promise<Template | null> {
  const [template] = await findTemplates(trx, clinicId, [name]);
  return template ?? null;
}

export async function findTemplates(
  trx: Trx,
  clinicId: string,
  names: readonly string[],
): Promise<Template[]> {
  if (names.length === 0) return [];
  const rows = await trx
    .selectFrom('templates')
    .select(columns)
    .where('clinic_id', '=', clinicId)
    .where('name', 'in', [...names])
    .execute();
  return rows.map(({ updated_at: updatedAt, ...rest }) => ({ ...rest, updatedAt }));
}

/** All of them by name: a clinic has at most `templatesMax`. */
export async function listTemplates(trx: Trx, clinicId: string): Promise<Template[]> {
  const rows = await trx
    .selectFrom('templates')
    .select(columns)
    .where('clinic_id', '=', clinicId)
    .orderBy('name')
    .limit(templatesMax)
    .execute();
  return rows.map(({ updated_at: updatedAt, ...rest }) => ({ ...rest, updatedAt }));
}

/** @returns whether there was one. */
export async function deleteTemplate(trx: Trx, clinicId: string, name: string): Promise<boolean> {
  const { numDeletedRows } = await trx
    .deleteFrom('templates')
    .where('clinic_id', '=', clinicId)
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  return numDeletedRows > 0n;
}

/** Gives a new clinic the ready-made templates; a name it has already keeps its own text. */
export async function seedTemplates(
  trx: Trx,
  clinicId: string,
  now: Temporal.Instant,
): Promise<void> {
  await trx
    .insertInto('templates')
    .values(
      readyMadeTemplates.map((template) => ({
        clinic_id: clinicId,
        name: template.name,
        purpose: template.purpose,
        bodies: JSON.stringify(template.bodies),
        updated_at: now,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Channels whose text may be written for another one. */
const channelsOfAnyText: readonly ChannelName[] = ['inbox', 'task', 'webhook'];

export interface PickedBody {
  body: CompiledBody;
  /** The tag of the body, which dates and salutations follow. */
  language: string;
}

/**
 * The body for a channel in the language that suits; for the inbox, a task and the webhook any
 * channel's will do. Null when the template has none.
 */
export function pickBody(
  template: Pick<Template, 'bodies'>,
  channel: ChannelName,
  patientLanguage: string | null,
  clinicLanguage: string,
): PickedBody | null {
  const sources = channelsOfAnyText.includes(channel)
    ? [channel, ...channelNames.filter((name) => name !== channel)]
    : [channel];
  for (const source of sources) {
    const languages = template.bodies[source];
    const language = languages && pickLanguage(languages, patientLanguage, clinicLanguage);
    const body = language != null ? languages?.[language] : undefined;
    if (language != null && body) return { body: compiled(body), language };
  }
  return null;
}

/** Whether a template has words for a channel, in whatever language. */
export function hasBodyFor(template: Pick<Template, 'bodies'>, channel: ChannelName): boolean {
  const sources = channelsOfAnyText.includes(channel)
    ? Object.values(template.bodies)
    : [template.bodies[channel] ?? {}];
  return sources.some((languages) => Object.keys(languages).length > 0);
}

/** A batch renders one body many times. */
const compiledBodies = new WeakMap<TemplateBody, CompiledBody>();

function compiled(body: TemplateBody): CompiledBody {
  const known = compiledBodies.get(body);
  if (known) return known;
  const made = compileBody(body);
  compiledBodies.set(body, made);
  return made;
}
