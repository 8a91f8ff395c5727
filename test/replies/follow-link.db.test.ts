import t from 'tap';
import { linkActions } from '../../src/link-token.ts';
import { followLink, readLinkPage } from '../../src/replies/follow-link.ts';
import { now, phone, replyClinic } from './reply-clinic.ts';

type TestClinic = Awaited<ReturnType<typeof replyClinic>>;

async function withAppointment(clinic: TestClinic) {
  const patientId = await clinic.patient();
  const meant = await clinic.appointment({ patientId });
  const messageId = await clinic.message({
    patientId,
    language: 'pt-BR',
    guard: clinic.anchor(meant),
  });
  return { patientId, meant, messageId };
}

t.test('looking at any link changes nothing', async (t) => {
  const clinic = await replyClinic(t);
  const { patientId, meant, messageId } = await withAppointment(clinic);
  for (const action of linkActions) {
    const { status, html } = await readLinkPage(clinic.deps, clinic.link(messageId, action));
    t.equal(status, 200, action);
    t.match(html, /<form method="post">/, action);
  }
  t.match(await clinic.confirmation(meant), { confirmation: null });
  t.strictSame(await clinic.stamps(messageId), { replied: false, clicked: false });
  t.strictSame(await clinic.tasks(), []);
  t.strictSame(await clinic.replies(), []);
  t.equal(await clinic.mayGet(patientId), true);
});

t.test('a page speaks the message’s language and says when, in the clinic’s time', async (t) => {
  const clinic = await replyClinic(t);
  const { messageId } = await withAppointment(clinic);
  const { html } = await readLinkPage(clinic.deps, clinic.link(messageId, 'confirm'));
  t.match(html, /<html lang="pt">/);
  t.match(html, /4 de março, 10:00/);
  t.match(html, /Клиника &lt;Улыбка&gt; &amp; Co/, 'the clinic’s name is text');
  t.notMatch(html, /Улыбка>|<script|https?:/);
});

t.test('one tap confirms; a second changes nothing', async (t) => {
  const clinic = await replyClinic(t);
  const { patientId, meant, messageId } = await withAppointment(clinic);
  const token = clinic.link(messageId, 'confirm');
  for (const _ of [1, 2]) {
    const { status, html } = await followLink(clinic.deps, token, { answer: 'confirm' });
    t.equal(status, 200);
    t.match(html, /Obrigado! Esperamos por você/);
  }
  t.match(await clinic.confirmation(meant), {
    confirmation: 'accepted',
    status: 'booked',
    start_revision: 1,
  });
  t.strictSame(await clinic.stamps(messageId), { replied: true, clicked: true });
  t.match(await clinic.replies(), [{ meaning: 'confirm', patient_id: patientId }]);
  t.equal((await clinic.replies()).length, 1);
  t.strictSame(await clinic.tasks(), []);
  t.ok((await clinic.marks()).has(patientId));
});

t.test(
  'the same page also asks to cancel or for another time, and staff learn of each once',
  async (t) => {
    const clinic = await replyClinic(t);
    const { meant, messageId } = await withAppointment(clinic);
    const token = clinic.link(messageId, 'confirm');
    for (const answer of ['cancel', 'cancel', 'other-time', 'other-time']) {
      await followLink(clinic.deps, token, { answer });
    }
    t.match(await clinic.confirmation(meant), { confirmation: 'declined', status: 'booked' });
    t.strictSame(
      (await clinic.tasks()).map((task) => task.asks),
      ['cancel', 'other-time'],
    );
  },
);

t.test('an appointment that moved is not confirmed by the old link', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const moved = await clinic.appointment({ patientId });
  const messageId = await clinic.message({ patientId, guard: clinic.anchor(moved, 2) });
  const token = clinic.link(messageId, 'confirm');
  const { html } = await followLink(clinic.deps, token, { answer: 'confirm' });
  t.match(html, /El horario de esta cita cambió/);
  t.match(html, /href="tel:\+576012345678"/, 'the clinic can be called');
  t.match(await clinic.confirmation(moved), { confirmation: null });
  t.strictSame(await clinic.stamps(messageId), { replied: false, clicked: false });
  await followLink(clinic.deps, token, { answer: 'other-time' });
  t.match(await clinic.tasks(), [{ asks: 'other-time' }]);
});

t.test('an invited patient asks for a time in words of their own', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const messageId = await clinic.message({ patientId, purpose: 'care' });
  const note = 'По вторникам\u0000после <b>18:00</b>';
  const { html } = await followLink(clinic.deps, clinic.link(messageId, 'book'), { note });
  t.match(html, /Nos pondremos en contacto/);
  t.match(await clinic.tasks(), [
    {
      messageId,
      asks: 'other-time',
      text: 'Пациент просит записать его на визит. «По вторникам после <b>18:00</b>»',
    },
  ]);
  t.strictSame(await clinic.stamps(messageId), { replied: true, clicked: true });
});

t.test(
  'one click of the mail program unsubscribes, however often, and keeps reminders',
  async (t) => {
    const clinic = await replyClinic(t);
    const patientId = await clinic.patient();
    const messageId = await clinic.message({ patientId, purpose: 'marketing' });
    const token = clinic.link(messageId, 'unsubscribe');
    for (const _ of [1, 2]) {
      const { status } = await followLink(clinic.deps, token, { 'List-Unsubscribe': 'One-Click' });
      t.equal(status, 200);
    }
    t.match(await clinic.optOuts(), [
      { patient_id: patientId, origin: 'link', channel: null, purpose: null },
    ]);
    t.equal((await clinic.optOuts()).length, 1);
    t.equal(await clinic.mayGet(patientId), false);
    t.equal(await clinic.mayGet(patientId, 'sms', phone, 'transactional'), true);
    t.strictSame(await clinic.stamps(messageId), { replied: false, clicked: true });
  },
);

t.test('a rating is kept; staff hear of words and of discontent alone', async (t) => {
  const clinic = await replyClinic(t);
  const patientId = await clinic.patient();
  const rate = async (form: Record<string, string>) => {
    const messageId = await clinic.message({ patientId });
    return followLink(clinic.deps, clinic.link(messageId, 'rate'), form);
  };
  await rate({ score: '5' });
  t.strictSame(await clinic.tasks(), []);
  await rate({ score: '2' });
  await rate({ score: '4', note: 'Хорошо, но долго ждали' });
  t.match(
    (await clinic.tasks()).map((task) => task.text),
    [/из 5: 2$/, /из 5: 4 «Хорошо/],
  );
  t.strictSame(
    (await clinic.replies()).map((reply) => reply.score),
    [5, 2, 4],
  );
  const { html } = await rate({ score: '9' });
  t.match(html, /type="radio"/, 'what is no rating is asked again');
  t.equal((await clinic.replies()).length, 3);
});

t.test('changed details go to staff; unchanged ones do not', async (t) => {
  const clinic = await replyClinic(t);
  const messageId = await clinic.message({ patientId: await clinic.patient() });
  const token = clinic.link(messageId, 'verify');
  await followLink(clinic.deps, token, { answer: 'unchanged', note: '' });
  t.strictSame(await clinic.tasks(), []);
  await followLink(clinic.deps, token, { answer: 'changed', note: 'Новый номер' });
  t.match(await clinic.tasks(), [{ asks: 'details', text: /«Новый номер»/ }]);
});

t.test(
  'a link whose time is over does nothing and says so; unsubscribing has no end',
  async (t) => {
    const clinic = await replyClinic(t);
    const { patientId, meant, messageId } = await withAppointment(clinic);
    const past = now.subtract({ hours: 24 });
    for (const act of [readLinkPage, followLink]) {
      const answer = await act(clinic.deps, clinic.link(messageId, 'confirm', past), {});
      t.equal(answer.status, 410);
      t.match(answer.html, /não é mais válido/);
      t.notMatch(answer.html, /<form/);
    }
    t.match(await clinic.confirmation(meant), { confirmation: null });
    t.equal(
      (await followLink(clinic.deps, clinic.link(messageId, 'unsubscribe', past), {})).status,
      200,
    );
    t.equal(await clinic.mayGet(patientId), false);
  },
);

t.test('what is no link of ours gets a friendly page in every language', async (t) => {
  const clinic = await replyClinic(t);
  const unknownMessage = clinic.link('019a2b3c-4d5e-7f60-8123-456789abcdef', 'confirm');
  for (const token of ['x', '', `${unknownMessage}A`, unknownMessage]) {
    const { status, html, clinic: whose } = await followLink(clinic.deps, token, {});
    t.equal(status, 404);
    t.equal(whose, null);
    for (const language of ['ru', 'pt', 'es', 'en']) t.match(html, `lang="${language}"`);
  }
});

t.test('a link opens the message of its own clinic alone', async (t) => {
  const [here, there] = [await replyClinic(t), await replyClinic(t)];
  const messageId = await there.message({ patientId: await there.patient() });
  t.equal((await readLinkPage(here.deps, here.link(messageId, 'unsubscribe'))).status, 404);
});
