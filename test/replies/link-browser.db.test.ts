import type { Page } from 'playwright-core';
import t from 'tap';
import { type TestApi, testApi } from '../support/api.ts';
import { browserIsMissing, openBrowser } from '../support/browser.ts';

/** The pages behind links as a patient meets them: a small phone, no scripts, a thumb. */

const smallPhone = { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true };

interface Languages {
  language: string;
  country: string;
  confirmed: RegExp;
}

const languages: readonly Languages[] = [
  { language: 'ru', country: 'RU', confirmed: /Вас ждать/ },
  { language: 'pt-BR', country: 'BR', confirmed: /confirmad|esperamos/i },
  { language: 'es', country: 'CL', confirmed: /confirmad|esperamos/i },
  { language: 'en', country: 'US', confirmed: /forward to seeing/ },
];

for (const { language, country, confirmed } of languages) {
  t.test(
    `a patient confirms with one tap, in ${language}`,
    { skip: browserIsMissing },
    async (t) => {
      const { api, owner, links } = await clinicWithLinks(t, language, country);
      const { page, asked } = await openPhone(t, api);
      await page.goto(links.confirm);
      t.equal(await page.getAttribute('html', 'lang'), language.split('-')[0]);
      await fitsTheScreen(t, page);
      t.same(await page.getByRole('heading').count(), 1);
      const buttons = page.getByRole('button');
      t.equal(await buttons.count(), 3);
      for (const button of await buttons.all()) {
        const box = await button.boundingBox();
        t.ok((box?.height ?? 0) >= 44, 'large enough for a thumb');
      }
      t.equal(await confirmationOf(owner), 'needs-action', 'looking changes nothing');
      await screenshot(page, `confirm-${language}`);
      await answerOf(page, buttons.first().tap());
      t.match(await page.getByRole('heading').textContent(), confirmed);
      t.equal(await confirmationOf(owner), 'accepted');
      t.same(
        asked.filter((url) => !url.startsWith(new URL(links.confirm).origin)),
        [],
      );
      await screenshot(page, `confirmed-${language}`);
    },
  );
}

t.test(
  'a patient rates, books, checks their details and leaves, by keyboard as well',
  { skip: browserIsMissing },
  async (t) => {
    const { api, owner, links } = await clinicWithLinks(t, 'es', 'CL', { brandColor: '#ffd500' });
    const { page } = await openPhone(t, api);

    await page.goto(links.rate);
    await fitsTheScreen(t, page);
    await screenshot(page, 'rate-es');
    await page.getByRole('radio', { name: '4' }).check();
    await page.getByRole('textbox').fill('Todo bien <b>gracias</b>');
    await answerOf(page, page.getByRole('button').press('Enter'));
    await screenshot(page, 'rated-es');

    await page.goto(links.book);
    await fitsTheScreen(t, page);
    await page.getByRole('textbox').fill('Mejor el jueves');
    await answerOf(page, page.getByRole('button').tap());
    await page.goto(links.verify);
    await fitsTheScreen(t, page);
    await screenshot(page, 'verify-es');
    await answerOf(page, page.getByRole('button').first().tap());
    const { body: tasks } = await owner.get('/v1/tasks');
    const texts = (tasks.data as { text: string }[]).map(({ text }) => text);
    t.ok(texts.some((text) => text.includes('Todo bien <b>gracias</b>')));
    t.ok(texts.some((text) => text.includes('Mejor el jueves')));

    await page.goto(links.unsubscribe);
    await fitsTheScreen(t, page);
    await answerOf(page, page.getByRole('button').tap());
    const offer = {
      patientId: '1',
      purpose: 'care',
      channel: 'email',
      text: 'Hola',
      subject: 'Hola',
    };
    const { body: offered } = await owner.post('/v1/messages', offer);
    t.match(offered, { state: 'suppressed', reason: 'opted-out' });
    await screenshot(page, 'unsubscribed-es');
  },
);

t.test(
  'a link that is not ours says so in four languages, and fits',
  { skip: browserIsMissing },
  async (t) => {
    const { api } = await clinicWithLinks(t, 'es', 'CL');
    const { page, address } = await openPhone(t, api);
    await page.goto(`${address}/l/${'x'.repeat(43)}`);
    await fitsTheScreen(t, page);
    t.same(await page.locator('p[lang]').count(), 3);
    await screenshot(page, 'unknown');
  },
);

async function clinicWithLinks(
  t: Parameters<typeof testApi>[0],
  language: string,
  country: string,
  settings: Record<string, unknown> = {},
) {
  const api = await testApi(t, {
    now: '2026-03-02T15:00:00Z',
    deps: (deps) => ({ ...deps, publicUrl: 'http://127.0.0.1' }),
  });
  const owner = await api.clinic({ language, country, name: 'Клиника «Улыбка & Ко»' });
  await owner.patch('/v1/clinic', { phone: '+56 2 2555 0101', ...settings });
  const telecom = [{ system: 'email', value: 'maria@example.com' }];
  await owner.put('/v1/patients/1', { name: { given: 'María' }, language, telecom });
  await owner.put('/v1/appointments/a1', {
    patientId: '1',
    status: 'booked',
    start: '2026-03-04T15:00:00Z',
    confirmation: 'needs-action',
  });
  await owner.put('/v1/channels/email', { provider: 'sendgrid', credentials: { apiKey: 'k' } });
  const actions = ['confirm', 'rate', 'book', 'verify', 'unsubscribe'] as const;
  const text = actions.map((action) => `{{link.${action}}}`).join(' ');
  await owner.put('/v1/templates/links', {
    purpose: 'transactional',
    bodies: { email: { [language]: { subject: 'Links', text } } },
  });
  const sent = await owner.post('/v1/messages', {
    patientId: '1',
    purpose: 'transactional',
    channel: 'email',
    template: 'links',
  });
  const { body } = await owner.get(`/v1/messages/${sent.body.id}`);
  const found = [...String(body.text).matchAll(/\/l\/\S+/g)].map(([path]) => path);
  const address = await addressOf(api);
  const links = Object.fromEntries(
    actions.map((action, at) => [action, `${address}${found[at]}`]),
  ) as Record<(typeof actions)[number], string>;
  return { api, owner, links };
}

async function confirmationOf(owner: Awaited<ReturnType<TestApi['clinic']>>): Promise<unknown> {
  return (await owner.get('/v1/appointments/a1')).body.confirmation;
}

async function addressOf({ app }: TestApi): Promise<string> {
  const listening = app.server.address();
  return listening !== null && typeof listening === 'object'
    ? `http://127.0.0.1:${listening.port}`
    : app.listen({ host: '127.0.0.1', port: 0 });
}

/** Scripts are off: the pages have none, and a patient's phone may have them blocked. */
async function openPhone(t: Parameters<typeof testApi>[0], api: TestApi) {
  const browser = await openBrowser(t);
  const context = await browser.newContext({ ...smallPhone, javaScriptEnabled: false });
  const page = await context.newPage();
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  return { page, asked, address: await addressOf(api) };
}

async function fitsTheScreen(t: { ok(it: unknown, message: string): unknown }, page: Page) {
  const { width } = (await page.locator('main').boundingBox()) ?? { width: 0 };
  t.ok(width <= smallPhone.viewport.width, 'nothing is cut off at the side');
  for (const box of await page.locator('main *').all()) {
    const at = await box.boundingBox();
    t.ok(at === null || at.x + at.width <= smallPhone.viewport.width, 'nothing sticks out');
  }
}

/** Until the page that answers it is there. */
async function answerOf(page: Page, pressed: Promise<void>): Promise<void> {
  await Promise.all([page.waitForEvent('domcontentloaded'), pressed]);
}

/** Kept where somebody asks for them, to be looked at. */
async function screenshot(page: Page, name: string): Promise<void> {
  const folder = process.env.RETORNO_SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}
