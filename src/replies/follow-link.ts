import type { Clinic } from '../history/clinic.ts';
import { setConfirmation } from '../history/confirmation-store.ts';
import { tellHost } from '../history/host-event-store.ts';
import { stampAnswer } from '../outbox/answer-store.ts';
import { withoutControls } from '../outbox/template-values.ts';
import { askPage, donePage, expiredPage, unknownPage } from './link-dialogue.ts';
import { type LinkPage, noteCharsMax, renderLinkPage } from './link-page.ts';
import { type LinkDeps, type OpenLink, openLink } from './open-link.ts';
import { stopAll } from './opt-out-store.ts';
import type { Meaning } from './reply.ts';
import { putReply } from './reply-store.ts';
import { staffTexts } from './staff-texts.ts';
import { type Asked, openTask } from './task-store.ts';

/** What a link in a message shows, and what pressing its buttons does. Looking changes nothing: mail scanners look. */

/** A page with its HTTP status: 200, 404 for no link of ours, 410 for one whose time is over. */
export interface LinkAnswer {
  status: 200 | 404 | 410;
  html: string;
  /** Whose link it is; a test clinic ticks after a POST. */
  clinic: Clinic | null;
}

/** The fields of the posted form (`application/x-www-form-urlencoded`), none of which is needed. */
export type LinkForm = Readonly<Record<string, string | undefined>>;

/** GET: shows what can be done, and does nothing. */
export async function readLinkPage(deps: LinkDeps, token: string): Promise<LinkAnswer> {
  return visit(deps, token, 'look', async (link) => askPage(link));
}

/** POST: does it; doing it twice is harmless. */
export async function followLink(
  deps: LinkDeps,
  token: string,
  form: LinkForm,
): Promise<LinkAnswer> {
  return visit(deps, token, 'act', (link) => answer(link, form));
}

async function visit(
  deps: LinkDeps,
  token: string,
  purpose: 'look' | 'act',
  show: (link: OpenLink) => Promise<LinkPage>,
): Promise<LinkAnswer> {
  return openLink<LinkAnswer>(deps, token, purpose, {
    unknown: () => toAnswer(404, unknownPage(), null),
    expired: (clinic, texts) => toAnswer(410, expiredPage(clinic, texts), clinic),
    open: async (link) => toAnswer(200, await show(link), link.clinic),
  });
}

function toAnswer(status: LinkAnswer['status'], page: LinkPage, clinic: Clinic | null): LinkAnswer {
  return { status, html: renderLinkPage(page), clinic };
}

/** What was answered: how it is kept, and what the page says to it. */
interface Answered {
  meaning: Meaning;
  text: string;
  score?: number;
  said: string;
}

/** A page that was sent without an answer is asked again. */
async function answer(link: OpenLink, form: LinkForm): Promise<LinkPage> {
  const answered = await answerAction(link, form);
  if (answered === null) return askPage(link);
  const { trx, clinic, action, message, now } = link;
  const { said, ...kept } = answered;
  const { channel, address, patientId, id: messageId } = message;
  const dedupeKey = `link:${messageId}:${action}`;
  const reply = { ...kept, channel, address, patientId, messageId, dedupeKey, receivedAt: now };
  await putReply(trx, clinic.id, reply, now);
  if (action === 'rate') {
    const data = { messageId, score: answered.score ?? null };
    await tellHost(trx, clinic.id, [{ type: 'feedback.received', patientId, data }], now);
  }
  await stampAnswer(trx, clinic.id, messageId, 'clicked', now);
  if (action !== 'unsubscribe') await stampAnswer(trx, clinic.id, messageId, 'replied', now);
  return donePage(link, said);
}

function answerAction(link: OpenLink, form: LinkForm): Promise<Answered | null> {
  switch (link.action) {
    case 'confirm':
      return answerAppointment(link, form);
    case 'book':
      return askForTime(link, noteIn(form));
    case 'rate':
      return rate(link, form);
    case 'verify':
      return verify(link, form);
    case 'unsubscribe':
      return unsubscribe(link);
  }
}

/** One tap is enough: a form that says nothing says what the link is for. */
async function answerAppointment(link: OpenLink, form: LinkForm): Promise<Answered | null> {
  const { trx, clinic, appointment, texts, now } = link;
  if (form.answer === 'other-time') return askForTime(link, noteIn(form));
  if (appointment === null) return null;
  if (form.answer === 'cancel') {
    await setConfirmation(trx, clinic.id, appointment, 'declined', now);
    await askStaff(link, 'cancel', staffTexts(clinic.language).cannotCome);
    return { meaning: 'cancel', text: texts.cannotComeButton, said: texts.cannotCome };
  }
  await setConfirmation(trx, clinic.id, appointment, 'accepted', now);
  return { meaning: 'confirm', text: texts.confirmButton, said: texts.confirmed };
}

async function askForTime(link: OpenLink, note: string): Promise<Answered> {
  const { clinic, appointment, texts } = link;
  const { otherTime, wantsTime } = staffTexts(clinic.language);
  await askStaff(link, 'other-time', withNote(appointment === null ? wantsTime : otherTime, note));
  return { meaning: 'other', text: note || texts.bookButton, said: texts.booked };
}

const scoreForm = /^[1-5]$/;
/** Staff hear of whoever was not content, even without a word. */
const contentFrom = 4;

async function rate(link: OpenLink, form: LinkForm): Promise<Answered | null> {
  const { clinic, texts } = link;
  const note = noteIn(form);
  const score = scoreForm.test(form.score ?? '') ? Number(form.score) : null;
  if (score === null && note === '') return null;
  if (note !== '' || (score !== null && score < contentFrom)) {
    const { rates } = staffTexts(clinic.language);
    await askStaff(link, 'rating', withNote(`${rates} ${score ?? '–'}`, note));
  }
  const kept = { meaning: 'other' as const, text: note, said: texts.rated };
  return score === null ? kept : { ...kept, score };
}

async function verify(link: OpenLink, form: LinkForm): Promise<Answered | null> {
  const { clinic, texts } = link;
  const note = noteIn(form);
  if (form.answer === 'changed' && note === '') return null;
  if (note !== '') {
    await askStaff(link, 'details', withNote(staffTexts(clinic.language).detailsChanged, note));
  }
  return { meaning: 'other', text: note || texts.unchangedButton, said: texts.verified };
}

/** Also the one click of RFC 8058, whose form knows nothing of ours. */
async function unsubscribe({ trx, clinic, message, texts, now }: OpenLink): Promise<Answered> {
  await stopAll(trx, clinic.id, { patientId: message.patientId }, 'link', now);
  return { meaning: 'stop', text: texts.unsubscribeButton, said: texts.unsubscribed };
}

async function askStaff(link: OpenLink, asks: Asked, text: string): Promise<void> {
  const { trx, clinic, message, now } = link;
  const { patientId, id: messageId, ruleId } = message;
  await openTask(trx, clinic, { patientId, messageId, ruleId, asks, text }, now);
}

function noteIn({ note }: LinkForm): string {
  return withoutControls((note ?? '').slice(0, noteCharsMax).toWellFormed());
}

function withNote(text: string, note: string): string {
  return note === '' ? text : `${text} «${note}»`;
}
