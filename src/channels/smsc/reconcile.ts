import { type Fields, textOf, wholeNumber } from '../call.ts';
import type { AdapterContext, AdapterError, ReconcileOutcome, ReconcileRef } from '../channel.ts';
import { callSmsc, digitsOf } from './call.ts';
import { statusNews, withoutPerson } from './callback.ts';
import type { SmscConfig } from './config.ts';

/** Asks by id and number. Of two messages of one id and number SMSC.ru answers for the latest. */
export async function reconcile(
  refs: readonly ReconcileRef[],
  config: SmscConfig,
  context: AdapterContext,
): Promise<ReconcileOutcome[]> {
  if (refs.length === 0) return [];
  // The comma behind the last makes the answer a list even for one.
  const question = {
    phone: refs.map(({ to }) => `${to},`).join(''),
    id: refs.map(({ clientRef }) => `${clientRef},`).join(''),
    all: '0',
  };
  const answer = await callSmsc('status.php', question, config, context);
  if ('error' in answer) {
    return refs.map(({ id }) => ({ id, kind: 'unknown', error: answer.error, raw: answer.raw }));
  }
  const code = wholeNumber(answer.fields.error_code);
  const entries = answer.list ?? [answer.fields];
  const byKey = new Map(
    entries.map((entry) => [`${textOf(entry.id)}/${digitsOf(entry.phone)}`, entry]),
  );
  return refs.map((ref, index) => {
    const named = byKey.get(`${ref.clientRef}/${digitsOf(ref.to)}`);
    const inPlace = entries.length === refs.length ? entries[index] : undefined;
    // An entry that names another message is never this one's answer.
    const entry = named ?? (inPlace && textOf(inPlace.id) === '' ? inPlace : undefined);
    return reconciled(ref, code === null ? entry : undefined, code, config);
  });
}

function reconciled(
  ref: ReconcileRef,
  entry: Fields | undefined,
  code: number | null,
  config: SmscConfig,
): ReconcileOutcome {
  const status = entry ? wholeNumber(entry.status) : null;
  const raw = entry ? withoutPerson(entry) : { error_code: code };
  const known = { id: ref.id, kind: 'accepted', providerMessageId: ref.clientRef, raw } as const;
  if (entry && status === -2) return { ...known, status: 'queued' };
  const news = entry && status !== null ? statusNews(status, entry, config) : null;
  if (!news) {
    const error: AdapterError = {
      class: 'unknown_outcome',
      scope: 'message',
      providerCode: code === null ? 'unreadable' : `status-query-${code}`,
      httpStatus: 200,
      message: 'SMSC.ru does not tell what became of it.',
      retryAfterMs: 60_000,
    };
    return { id: ref.id, kind: 'unknown', error, raw };
  }
  if (news.status === 'not_found') return { id: ref.id, kind: 'not_found', raw };
  return {
    ...known,
    status: news.status,
    ...(news.error ? { error: news.error } : {}),
    ...(news.cost ? { cost: news.cost } : {}),
  };
}
