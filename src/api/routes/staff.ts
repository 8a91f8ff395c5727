import { type Static, Type } from 'typebox';
import { AppError, invalid, notFound } from '../../errors.ts';
import { readTelecom } from '../../history/telecom.ts';
import { listNotices, type Notice, noticeStates } from '../../replies/notice-store.ts';
import { nextDigestAt } from '../../replies/serve-desk.ts';
import {
  deleteStaffMember,
  findStaffMember,
  listStaff,
  putStaffMember,
  type StaffMember,
  staffMax,
  staffTopics,
} from '../../replies/staff-store.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { pageOf, pageQuery, pager, wholeListOf } from '../page.ts';
import { done, Id, Instant, nullable, strict } from '../words.ts';

const Notify = Type.Array(Type.Enum([...staffTopics]), {
  maxItems: staffTopics.length,
  uniqueItems: true,
  description:
    'What they hear of: new tasks, patients who wrote, calls that were asked for, the digest of the day.',
  examples: [['task', 'digest']],
});
const Language = Type.String({
  pattern: '^[a-z]{2,3}(-[A-Za-z0-9]{1,8})*$',
  description: 'Of what they are told: ru, pt, es or en. The clinic’s if absent.',
  examples: ['es'],
});
const Url = Type.String({
  pattern: '^https?://[^\\s]+$',
  maxLength: 200,
  description: 'Where they work with it: a page of yours, which ends each notice.',
  examples: ['https://mis.example.org/desk'],
});

const StaffIn = strict(
  {
    email: Type.Optional(
      Type.String({ minLength: 3, maxLength: 254, examples: ['vera@example.org'] }),
    ),
    phone: Type.Optional(Type.String({ minLength: 3, maxLength: 60, examples: ['+573001112233'] })),
    notify: Notify,
    language: Type.Optional(Language),
    url: Type.Optional(Url),
  },
  { title: 'StaffIn' },
);

const StaffOut = Type.Object(
  {
    name: Type.String({ examples: ['vera'] }),
    email: nullable(Type.String()),
    phone: nullable(Type.String()),
    notify: Notify,
    language: Language,
    url: nullable(Type.String()),
    digestAt: Type.Union([Instant, Type.Null()], { description: 'When their next digest comes.' }),
    createdAt: Instant,
    updatedAt: Instant,
  },
  { title: 'StaffMember', description: 'Who works at the clinic’s desk, and what they hear of.' },
);

const NoticeOut = Type.Object(
  {
    id: Id,
    channel: Type.Enum(['sms', 'email']),
    topic: Type.Enum([...staffTopics]),
    state: Type.Enum([...noticeStates]),
    reason: nullable(Type.String({ description: 'Why it did not come.' })),
    provider: nullable(Type.String()),
    subject: nullable(Type.String()),
    text: nullable(Type.String()),
    dueAt: Type.String({ description: 'From when they may be told.' }),
    createdAt: Instant,
    sentAt: nullable(Instant),
  },
  { title: 'StaffNotice', description: 'What one of the staff was told.' },
);

const Params = Type.Object({
  name: Type.String({
    pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
    description: 'Your name for them; a task’s `assignee` is the same.',
    examples: ['vera'],
  }),
});
const tags = ['Patients'] as const;

export const staffRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/staff',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listStaff',
        tags: [...tags],
        summary: 'List who works at the clinic’s desk',
        response: { 200: wholeListOf(StaffOut) },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const staff = await run((trx) => listStaff(trx, clinicId));
      return { data: staff.map(toOut), nextCursor: null };
    },
  );

  app.put(
    '/v1/staff/:name',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'putStaffMember',
        tags: [...tags],
        summary: 'Say whole how one of the staff is told, and of what',
        params: Params,
        body: StaffIn,
        response: { 200: StaffOut, 201: StaffOut },
      },
    },
    async (request, reply) => {
      const { clinic, clinicId, now, run } = atClinic(deps, request);
      const { name } = request.params;
      const { email, phone, notify, language = clinic.language, url = null } = request.body;
      if (email === undefined && phone === undefined) {
        throw invalid('/email', 'required', 'An e-mail address or a phone is needed.');
      }
      const wish = {
        email: email === undefined ? null : addressOf('email', email, clinic.country),
        phone: phone === undefined ? null : addressOf('phone', phone, clinic.country),
        ...{ notify, language, url },
      };
      const digestAt = notify.includes('digest') ? nextDigestAt(clinic, now) : null;
      const stored = await run(async (trx) => {
        const staff = await listStaff(trx, clinicId);
        if (staff.length >= staffMax && !staff.some((member) => member.name === name)) {
          throw new AppError('unprocessable', `A clinic has at most ${staffMax} members of staff.`);
        }
        return putStaffMember(trx, clinicId, name, wish, digestAt, now);
      });
      reply.code(stored.isNew ? 201 : 200);
      return toOut(stored);
    },
  );

  app.get(
    '/v1/staff/:name',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getStaffMember',
        tags: [...tags],
        summary: 'Show how one of the staff is told',
        params: Params,
        response: { 200: StaffOut },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const member = await run((trx) => findStaffMember(trx, clinicId, request.params.name));
      if (member === null) throw notFound('member of staff');
      return toOut(member);
    },
  );

  app.delete(
    '/v1/staff/:name',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'deleteStaffMember',
        tags: [...tags],
        summary: 'Forget one of the staff with what they were told',
        params: Params,
        response: { 204: done('Forgotten.') },
      },
    },
    async (request, reply) => {
      const { clinicId, run } = atClinic(deps, request);
      if (!(await run((trx) => deleteStaffMember(trx, clinicId, request.params.name)))) {
        throw notFound('member of staff');
      }
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/v1/staff/:name/notices',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listStaffNotices',
        tags: [...tags],
        summary: 'List what one of the staff was told in the last 90 days, the newest first',
        params: Params,
        querystring: strict({ ...pageQuery }),
        response: { 200: pageOf(NoticeOut) },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const { name } = request.params;
      const { after, rowsWanted, toPage } = pager(deps, request, clinicId);
      const page = { after, limit: rowsWanted };
      const notices = await run(async (trx) => {
        if ((await findStaffMember(trx, clinicId, name)) === null) {
          throw notFound('member of staff');
        }
        return listNotices(trx, clinicId, name, page);
      });
      return toPage(notices, ({ dueAt, id }) => [dueAt.toString(), id], toNoticeOut);
    },
  );
};

function addressOf(system: 'email' | 'phone', value: string, country: string): string {
  const { email_address, sms_address } = readTelecom([{ system, value }], country);
  const address = system === 'email' ? email_address : sms_address;
  if (address === null) {
    throw invalid(`/${system}`, 'not-an-address', 'Nothing can be sent to this address.');
  }
  return address;
}

function toOut(member: StaffMember): Static<typeof StaffOut> {
  const { name, email, phone, notify, language, url, digestAt, createdAt, updatedAt } = member;
  return {
    ...{ name, email, phone, notify, language, url },
    digestAt: digestAt?.toString() ?? null,
    createdAt: createdAt.toString(),
    updatedAt: updatedAt.toString(),
  };
}

function toNoticeOut(notice: Notice): Static<typeof NoticeOut> {
  const { dueAt, createdAt, sentAt, ...rest } = notice;
  return {
    ...rest,
    dueAt: dueAt.toString(),
    createdAt: createdAt.toString(),
    sentAt: sentAt?.toString() ?? null,
  };
}
