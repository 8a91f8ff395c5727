import { Type } from 'typebox';
import { notFound } from '../../errors.ts';
import { parseHostId } from '../../history/host-id.ts';
import { findPatientId } from '../../history/patient-store.ts';
import { makeChatLink } from '../../replies/link-chat.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { HostIdText, Instant, strict } from '../words.ts';

const LinkIn = strict({ channel: Type.Enum(['telegram']) }, { title: 'LinkIn' });

const LinkOut = Type.Object(
  {
    channel: Type.Enum(['telegram']),
    url: Type.String({
      description: 'For this patient alone: whoever opens it first gets their messages.',
      examples: ['https://t.me/sonrisa_bot?start=AZz0…'],
    }),
    expiresAt: Instant,
  },
  { title: 'Link', description: 'By which a patient opens a chat with the clinic’s bot.' },
);

export const chatLinkRoutes = (deps: AppDeps) => async (app: App) => {
  app.post(
    '/v1/patients/:id/links',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'createLink',
        tags: ['Patients'],
        summary: 'Make a link by which the patient opens a chat with the clinic’s bot',
        params: Type.Object({ id: HostIdText }),
        body: LinkIn,
        response: { 201: LinkOut },
      },
    },
    async (request, reply) => {
      const { caller, clinicId, now, run } = atClinic(deps, request);
      const { channel } = request.body;
      const link = await run(async (trx) => {
        const hostId = parseHostId(request.params.id, caller.source);
        const patientId = await findPatientId(trx, clinicId, hostId);
        return patientId && makeChatLink(deps, trx, clinicId, patientId, now);
      });
      if (!link) throw notFound('patient');
      return reply.code(201).send({ channel, url: link.url, expiresAt: link.expiresAt.toString() });
    },
  );
};
