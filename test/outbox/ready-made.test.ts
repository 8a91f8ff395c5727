import t from 'tap';
import { smsLength } from '../../src/channels/sms-length.ts';
import { linkTokenChars } from '../../src/link-token.ts';
import { type ReadyMadeName, readyMadeTemplates } from '../../src/outbox/ready-made/index.ts';
import {
  checkBodies,
  compileBody,
  namesIn,
  neededNamesIn,
  renderBody,
  type TemplateBody,
} from '../../src/outbox/template.ts';
import type { TemplateFacts } from '../../src/outbox/template-values.ts';

const languages = ['ru', 'pt-BR', 'es', 'en'];
const smsPartsMax = 2;
/** A short host of a clinic. */
const link = `https://r.ulybka.ru/l/${'a'.repeat(linkTokenChars)}`;
const links = { confirm: link, book: link, rate: link, verify: link, unsubscribe: link };

const typical: Record<string, TemplateFacts> = {
  ru: {
    patientName: { given: 'Александра', middle: 'Константиновна', family: 'Рождественская' },
    clinic: { name: 'Клиника «Улыбка»', phone: '+7 495 123-45-67', address: 'Тверская, 1' },
  },
  'pt-BR': {
    patientName: { given: 'Maria Fernanda', family: 'Albuquerque' },
    clinic: { name: 'Clinica Novo Sorriso', phone: '+55 11 91234-5678', address: 'Rua A, 1' },
  },
  es: {
    patientName: { given: 'Guadalupe', family: 'Villanueva' },
    clinic: { name: 'Clinica Nueva Sonrisa', phone: '+57 301 234 5678', address: 'Calle 1' },
  },
  en: {
    patientName: { given: 'Christopher', family: 'Montgomery' },
    clinic: { name: 'Bright Harbor Clinic', phone: '+1 617 555 0123', address: '1 Main St' },
  },
};
const appointment = { start: Temporal.Instant.from('2026-09-22T17:30:00Z'), zone: 'UTC' };

interface Shipped {
  name: ReadyMadeName;
  purpose: string;
  channel: string;
  language: string;
  body: TemplateBody;
}

const shipped: Shipped[] = readyMadeTemplates.flatMap(({ name, purpose, bodies }) =>
  Object.entries(bodies).flatMap(([channel, byLanguage]) =>
    Object.entries(byLanguage).map(([language, body]) => ({
      name,
      purpose,
      channel,
      language,
      body,
    })),
  ),
);

function label({ name, channel, language }: Shipped): string {
  return `${name} ${channel} ${language}`;
}

/** What is written, without the names in it, but with their fallbacks. */
function words({ subject = '', text, html = '' }: TemplateBody): string {
  return `${subject}\n${text}\n${html}`.replace(/\{\{[^|}]*\|?([^}]*)\}\}/g, '$1');
}

t.test('every ready-made template speaks four languages on six channels', async (t) => {
  t.equal(shipped.length, 5 * 6 * languages.length);
  for (const { name, bodies } of readyMadeTemplates) {
    for (const [channel, byLanguage] of Object.entries(bodies)) {
      t.strictSame(Object.keys(byLanguage), languages, `${name} ${channel}`);
    }
  }
});

t.test('a clinic could save every ready-made template as it is', async (t) => {
  for (const { name, bodies } of readyMadeTemplates) t.strictSame(checkBodies(bodies), [], name);
});

t.test('purposes are those of the contract', async (t) => {
  t.strictSame(Object.fromEntries(readyMadeTemplates.map(({ name, purpose }) => [name, purpose])), {
    recall: 'care',
    reminder: 'transactional',
    confirmation: 'transactional',
    birthday: 'marketing',
    'follow-up': 'transactional',
  });
});

t.test('a template needs nothing that its occasion does not have', async (t) => {
  const always = /^(clinic\.name|link\..+)$/;
  const withAppointment = /^(clinic\.name|link\..+|appointment\.(date|time))$/;
  for (const template of shipped) {
    const isAboutAppointment = ['reminder', 'confirmation'].includes(template.name);
    const allowed = isAboutAppointment ? withAppointment : always;
    for (const needed of neededNamesIn(compileBody(template.body))) {
      t.match(needed, allowed, label(template));
    }
  }
});

t.test(
  'a patient without a name, of a clinic without a telephone, gets a whole sentence',
  async (t) => {
    for (const template of shipped) {
      const facts = { clinic: { name: 'Clinic' }, appointment, links };
      const rendered = renderBody(compileBody(template.body), facts, template);
      if (!rendered.ok) {
        t.fail(`${label(template)} lacks ${rendered.missing.join(', ')}`);
        continue;
      }
      t.notMatch(rendered.text, /^[,!.\s]|\s[,.!?:]|[,:] ?[,.!]|\{|\}| {2}/, label(template));
    }
  },
);

t.test('no shipped text names a diagnosis, a specialty or a service', async (t) => {
  const telling = [
    /зуб|стомат|дент|десн|кариес|гигиен|чистк|диагно|анализ|осмотр|обследован|лечен|процедур|врач|доктор|операц|болезн|заболев|беремен|онко|(?<!\p{L})рак(?!\p{L})|хирург|гинеко|уролог|кардио|терапевт|педиатр|психи/iu,
    /dent|dental|limpeza|exame|diagn|tratament|procediment|cirurg|câncer|cancer|doenç|médic|doutor|gineco|urolog|cardio|gravid|psic/i,
    /limpieza|examen|tratamient|procedimient|cirug|cáncer|enfermed|doctor|embaraz|psiquiat/i,
    /tooth|teeth|cleaning|\bexam|treatment|procedure|surgery|disease|illness|physician|pregnan|checkup|check-up|screening/i,
  ];
  for (const template of shipped) {
    const names = namesIn(compileBody(template.body));
    t.notOk(
      names.some((name) => /\.(service|practitioner)$/.test(name)),
      `${label(template)} names neither service nor practitioner`,
    );
    for (const tale of telling) t.notMatch(words(template.body), tale, label(template));
  }
});

t.test(
  'a marketing e-mail can be unsubscribed from, and a confirmation can be given',
  async (t) => {
    for (const template of shipped) {
      const names = namesIn(compileBody(template.body));
      if (template.purpose === 'marketing' && template.channel === 'email') {
        t.ok(names.includes('link.unsubscribe'), label(template));
      }
      if (template.name === 'confirmation' && template.channel !== 'task') {
        t.ok(names.includes('link.confirm'), label(template));
      }
    }
  },
);

t.test('an SMS with usual values stays within two parts', async (t) => {
  for (const template of shipped.filter(({ channel }) => channel === 'sms')) {
    const facts = { ...typical[template.language], appointment, links };
    const rendered = renderBody(compileBody(template.body), facts, template);
    const text = rendered.ok ? rendered.text : '';
    const { encoding, segments } = smsLength(text);
    t.ok(text && segments <= smsPartsMax, `${label(template)}: ${segments} (${text.length})`);
    t.equal(encoding, template.language === 'ru' ? 'ucs2' : 'gsm7', label(template));
  }
});

t.test('Russian texts address the patient politely', async (t) => {
  for (const template of shipped.filter(({ language }) => language === 'ru')) {
    t.notMatch(
      words(template.body),
      /(?<!\p{L})(вы|вас|вам|ваш\p{L}*|ты|тебя|тебе)(?!\p{L})/u,
      label(template),
    );
  }
});
