import t from 'tap';
import { type Clinic, defaultSettings } from '../../src/history/clinic.ts';
import { readyMadeTemplates } from '../../src/outbox/ready-made/index.ts';
import { lintText } from '../../src/outbox/template-lint.ts';
import { templateWarnings } from '../../src/outbox/template-warnings.ts';

const terms = {
  channel: 'sms',
  purpose: 'care',
  ownHosts: ['go.example.com', 'clinica.cl'],
} as const;

t.test('a text that names an illness is pointed out, in each language', async (t) => {
  const texts = [
    'Анна, пора сдать кровь на ВИЧ.',
    'Приглашаем на осмотр онколога',
    'Lembrete: seu exame de diabetes',
    'Su cita con el psiquiatra',
    'Your pregnancy check-up',
  ];
  for (const text of texts) t.same(lintText(text, terms), ['health-detail'], text);
});

t.test('words that only look like an illness are not', async (t) => {
  const texts = [
    'Вичуга, Клиника «Ромашка»',
    'Пора на профилактический осмотр',
    'Resida cerca',
    'Tu limpieza dental',
  ];
  for (const text of texts) t.same(lintText(text, terms), [], text);
});

t.test('links that lead elsewhere are pointed out; the clinic’s own are not', async (t) => {
  t.same(lintText('https://go.example.com/l/abc www.clinica.cl/horas', terms), []);
  t.same(lintText('{{link.book}} {{link.confirm}}', terms), []);
  t.same(lintText('http://promo.example.org/x', terms), ['foreign-link']);
  t.same(lintText('Запись на promo-clinic.ru', terms), ['foreign-link']);
  t.same(lintText('bit.ly/3xyz', terms), ['link-shortener']);
  t.same(
    lintText('evilclinica.cl', terms),
    ['foreign-link'],
    'an ending alone makes no host one’s own',
  );
  t.same(lintText('info@clinica.cl, в 10.30 до 5.12', terms), []);
});

t.test('an offer that nobody can stop is pointed out', async (t) => {
  const offer = { ...terms, purpose: 'marketing' } as const;
  t.same(lintText('Скидка 20 %', offer), ['no-unsubscribe']);
  t.same(lintText('Скидка 20 %. Отказ: СТОП', offer), []);
  t.same(lintText('20% de desconto {{link.unsubscribe}}', offer), []);
});

t.test('what staff or a portal read is left alone', async (t) => {
  for (const channel of ['task', 'inbox'] as const)
    t.same(lintText('Онколог: bit.ly/x', { ...terms, channel, purpose: 'marketing' }), []);
});

t.test('the ready-made texts give no cause for advice', async (t) => {
  for (const { name, purpose, bodies } of readyMadeTemplates)
    for (const [channel, languages] of Object.entries(bodies))
      for (const [language, body] of Object.entries(languages)) {
        const read = [body.subject, body.text, body.html].join('\n');
        const found = lintText(read, { ...terms, channel: channel as 'sms', purpose });
        t.same(found, [], `${name} ${channel} ${language}`);
      }
});

t.test('who saves a template is told where the trouble is', async (t) => {
  const clinic: Clinic = {
    id: '01931f5e-7c00-7000-8000-000000000001',
    number: 1,
    name: 'Clínica',
    timeZone: 'America/Santiago',
    country: 'CL',
    language: 'es',
    currency: 'CLP',
    mode: 'live',
    testNow: null,
    settings: { ...defaultSettings, websites: ['clinica.cl'] },
    createdAt: Temporal.Instant.from('2026-03-01T10:00:00Z'),
  };
  const bodies = {
    sms: {
      es: { text: '20% de descuento: https://clinica.cl/oferta' },
      pt: { text: `{{patient.name.given}}, ${'muito para contar '.repeat(40)}` },
    },
    email: { es: { text: 'bit.ly/x {{link.unsubscribe}}', subject: 'Su biopsia' } },
  };
  const warned = (purpose: 'marketing' | 'care') =>
    templateWarnings({ purpose, bodies }, clinic, { publicUrl: 'https://go.example.com' });
  t.same(warned('care'), [
    { pointer: '/bodies/sms/pt', code: 'many-parts' },
    { pointer: '/bodies/email/es', code: 'health-detail' },
    { pointer: '/bodies/email/es', code: 'link-shortener' },
  ]);
  t.same(warned('marketing').slice(0, 2), [
    { pointer: '/bodies/sms/es', code: 'lacks-opt-out' },
    { pointer: '/bodies/sms/pt', code: 'lacks-opt-out' },
  ]);
});
