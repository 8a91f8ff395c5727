import { type Static, Type } from 'typebox';
import { channelNames } from '../../channels/channel.ts';
import { notFound } from '../../errors.ts';
import { parseHostId } from '../../history/host-id.ts';
import { findPatientId } from '../../history/patient-store.ts';
import { previewTemplate } from '../../outbox/preview-template.ts';
import { templateCharactersMax } from '../../outbox/template.ts';
import {
  deleteTemplate,
  findTemplate,
  listTemplates,
  putTemplate,
  type Template,
} from '../../outbox/template-store.ts';
import { templateWarnings } from '../../outbox/template-warnings.ts';
import type { App } from '../app-types.ts';
import { atClinic } from '../at-clinic.ts';
import type { AppDeps } from '../deps.ts';
import { wholeListOf } from '../page.ts';
import {
  ChannelName,
  done,
  HostIdText,
  Instant,
  Money,
  nullable,
  Purpose,
  strict,
} from '../words.ts';

const languagesMax = 100;

const Body = strict(
  {
    subject: Type.Optional(
      Type.String({ maxLength: 300, description: 'For e-mail.', examples: ['Your check-up'] }),
    ),
    text: Type.String({
      minLength: 1,
      description: `With names in double braces, such as \`{{patient.name.given}}\` or \`{{clinic.phone|reception}}\`; at most ${templateCharactersMax} characters.`,
      examples: [
        '{{patient.name.given}}, it is time for your check-up at {{clinic.name}}: {{link.book}}',
      ],
    }),
    html: Type.Optional(
      Type.String({
        description: `For e-mail; at most ${templateCharactersMax} characters.`,
      }),
    ),
  },
  { description: 'The text in one language.' },
);

const Bodies = Type.Partial(
  Type.Object(
    Object.fromEntries(
      channelNames.map((channel) => [
        channel,
        Type.Record(Type.String({ maxLength: 60 }), Body, {
          minProperties: 1,
          maxProperties: languagesMax,
          description: 'By language, BCP 47.',
        }),
      ]),
    ),
  ),
  { additionalProperties: false, minProperties: 1, description: 'By channel, then by language.' },
);

const TemplateIn = strict({ purpose: Purpose, bodies: Bodies }, { title: 'TemplateIn' });

const TemplateOut = Type.Object(
  {
    name: Type.String(),
    purpose: Purpose,
    bodies: Bodies,
    updatedAt: Instant,
    warnings: Type.Optional(
      Type.Array(Type.Object({ pointer: Type.String(), code: Type.String() }), {
        description:
          "When it is saved: what the clinic's country asks for and the text lacks, and what had better not be sent.",
      }),
    ),
  },
  { title: 'Template', description: 'What is said, by channel and language.' },
);

const PreviewIn = strict(
  {
    channel: ChannelName,
    language: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 60,
        description: 'Of a patient who is made up.',
        examples: ['es'],
      }),
    ),
    patientId: Type.Optional(HostIdText),
  },
  { title: 'TemplatePreviewIn' },
);

const PreviewOut = Type.Object(
  {
    subject: nullable(Type.String()),
    text: nullable(Type.String({ description: 'Null where it cannot be rendered.' })),
    html: nullable(Type.String()),
    language: nullable(Type.String()),
    encoding: nullable(Type.String()),
    segments: Type.Integer(),
    cost: nullable(Money),
    warnings: Type.Array(Type.String()),
  },
  { title: 'TemplatePreview' },
);

const Params = Type.Object({
  name: Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$',
    description: 'Rules name it so.',
    examples: ['recall'],
  }),
});

const toOut = ({ updatedAt, ...template }: Template) => ({
  ...template,
  updatedAt: updatedAt.toString(),
});

export const templateRoutes = (deps: AppDeps) => async (app: App) => {
  app.get(
    '/v1/templates',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'listTemplates',
        tags: ['Engagement'],
        summary: 'List all templates by name',
        response: { 200: wholeListOf(TemplateOut) },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const templates = await run((trx) => listTemplates(trx, clinicId));
      return { data: templates.map(toOut) as Static<typeof TemplateOut>[], nextCursor: null };
    },
  );

  app.put(
    '/v1/templates/:name',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'putTemplate',
        tags: ['Engagement'],
        summary: 'Store a template whole',
        params: Params,
        body: TemplateIn,
        response: { 200: TemplateOut, 201: TemplateOut },
      },
    },
    async (request, reply) => {
      const { clinic, clinicId, now, run } = atClinic(deps, request);
      const { purpose, bodies } = request.body;
      const { template, isNew } = await run((trx) =>
        putTemplate(
          trx,
          clinicId,
          request.params.name,
          { purpose, bodies: definedBodies(bodies) },
          now,
        ),
      );
      reply.code(isNew ? 201 : 200);
      const warnings = templateWarnings(template, clinic, deps);
      return { ...toOut(template), warnings } as Static<typeof TemplateOut>;
    },
  );

  app.get(
    '/v1/templates/:name',
    {
      config: { access: 'read' },
      schema: {
        operationId: 'getTemplate',
        tags: ['Engagement'],
        summary: 'Show a template',
        params: Params,
        response: { 200: TemplateOut },
      },
    },
    async (request) => {
      const { clinicId, run } = atClinic(deps, request);
      const template = await run((trx) => findTemplate(trx, clinicId, request.params.name));
      if (template === null) throw notFound('template');
      return toOut(template) as Static<typeof TemplateOut>;
    },
  );

  app.delete(
    '/v1/templates/:name',
    {
      config: { access: 'manage' },
      schema: {
        operationId: 'deleteTemplate',
        tags: ['Engagement'],
        summary: 'Remove a template; messages that need it wait as `no-template`',
        params: Params,
        response: { 204: done('Removed.') },
      },
    },
    async (request, reply) => {
      const { clinicId, run } = atClinic(deps, request);
      const found = await run((trx) => deleteTemplate(trx, clinicId, request.params.name));
      if (!found) throw notFound('template');
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/v1/templates/:name/preview',
    {
      config: { access: 'read', ticks: false },
      schema: {
        operationId: 'previewTemplate',
        tags: ['Engagement'],
        summary: 'Show what a template says and costs, for a patient or for one who is made up',
        params: Params,
        body: PreviewIn,
        response: { 200: PreviewOut },
      },
    },
    async (request) => {
      const { caller, clinic, clinicId, now, run } = atClinic(deps, request);
      const { patientId: asked, channel, language } = request.body;
      return run(async (trx) => {
        const template = await findTemplate(trx, clinicId, request.params.name);
        if (template === null) throw notFound('template');
        const patientId =
          asked === undefined
            ? undefined
            : await findPatientId(trx, clinicId, parseHostId(asked, caller.source));
        if (patientId === null) throw notFound('patient');
        const terms = {
          channel,
          ...(language !== undefined && { language }),
          ...(patientId !== undefined && { patientId }),
        };
        const preview = await previewTemplate(deps, trx, clinic, template, terms, now);
        if (preview === null) throw notFound('patient');
        return preview;
      });
    },
  );
};

type TemplateBodies = Template['bodies'];

function definedBodies(bodies: Static<typeof Bodies>): TemplateBodies {
  return Object.fromEntries(
    Object.entries(bodies).filter(([, languages]) => languages !== undefined),
  ) as TemplateBodies;
}
