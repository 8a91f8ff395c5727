import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { followLink, type LinkAnswer, readLinkPage } from '../../replies/follow-link.ts';
import { linkPageHeaders } from '../../replies/link-page.ts';
import { tickTestClinic } from '../../rules/advance-test-clock.ts';
import type { App } from '../app-types.ts';
import type { AppDeps } from '../deps.ts';

/** The pages a patient opens from a message. Only POST acts: mail scanners look at every link. */

const formBytesMax = 10_000;
const params = Type.Object({ token: Type.String({ description: 'From a link in a message.' }) });
const page = Type.String({ description: 'A page in HTML.' });

export const linkRoutes = (deps: AppDeps) => async (app: App) => {
  app.removeAllContentTypeParsers();
  // Forms, and whatever a mail service sends for its one click.
  const options = { parseAs: 'string', bodyLimit: formBytesMax } as const;
  app.addContentTypeParser('*', options, async (_request: unknown, body: string | Buffer) =>
    String(body),
  );

  app.get(
    '/l/:token',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'viewLink',
        tags: ['Patients'],
        summary: 'The page behind a link in a message; looking changes nothing',
        produces: ['text/html'],
        params,
        response: { 200: page, 404: page, 410: page },
      },
      validatorCompiler: acceptAnything,
    },
    async (request, reply) => sendPage(reply, await readLinkPage(deps, request.params.token)),
  );

  app.post(
    '/l/:token',
    {
      config: { access: 'public' },
      schema: {
        operationId: 'followLink',
        tags: ['Patients'],
        summary: 'What the buttons of that page do; also one-click unsubscribing (RFC 8058)',
        consumes: ['application/x-www-form-urlencoded'],
        produces: ['text/html'],
        params,
        response: { 200: page, 404: page, 410: page },
      },
      validatorCompiler: acceptAnything,
    },
    async (request, reply) => {
      const form = Object.fromEntries(new URLSearchParams(String(request.body ?? '')));
      const answer = await followLink(deps, request.params.token, form);
      // Its answer waits for what follows, as that of any write to a test clinic does.
      if (answer.clinic?.mode === 'test') await tickTestClinic(deps, answer.clinic.id);
      return sendPage(reply, answer);
    },
  );
};

/** Mail programs add parameters of their own to links. */
const acceptAnything = () => (value: unknown) => ({ value });

function sendPage(reply: FastifyReply, { status, html, clinic }: LinkAnswer): FastifyReply {
  return reply.code(status).headers(linkPageHeaders(clinic?.settings.brandColor)).send(html);
}
