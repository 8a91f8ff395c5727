import fc from 'fast-check';
import t from 'tap';
import { htmlFromText } from '../../src/outbox/html-text.ts';
import {
  checkBodies,
  compileBody,
  isHeaderSafe,
  namesIn,
  neededNamesIn,
  parseText,
  pickLanguage,
  type Rendered,
  renderBody,
  type TemplateBody,
} from '../../src/outbox/template.ts';
import { type TemplateFacts, templateNames } from '../../src/outbox/template-values.ts';

const visitStart = Temporal.Instant.from('2026-07-12T11:30:00Z');

function facts(changes: Partial<TemplateFacts> = {}): TemplateFacts {
  return {
    patientName: { given: 'Мария', middle: 'Ивановна', family: 'Петрова' },
    clinic: { name: 'Улыбка', phone: '+7 495 123-45-67', address: 'Тверская, 1' },
    appointment: { start: visitStart, zone: 'Europe/Moscow', practitioner: 'Орлов' },
    links: { confirm: 'https://r.example/l/a?b=1&c=2' },
    ...changes,
  };
}

function render(
  body: TemplateBody | string,
  given: TemplateFacts,
  { channel = 'sms', language = 'ru' } = {},
): Rendered {
  const compiled = compileBody(typeof body === 'string' ? { text: body } : body);
  return renderBody(compiled, given, { channel, language });
}

function text(body: TemplateBody | string, given: TemplateFacts, terms = {}): string {
  const rendered = render(body, given, terms);
  return rendered.ok ? rendered.text : `missing: ${rendered.missing.join(', ')}`;
}

t.test('a patient reads their name, day and hour', async (t) => {
  t.equal(
    text(
      '{{ patient.name.salutation }}, ждём Вас {{appointment.date}} в {{appointment.time}}. {{clinic.name}}',
      facts(),
    ),
    'Мария Ивановна, ждём Вас 12 июля в 14:30. Улыбка',
  );
});

t.test('dates and hours read as the language of the text writes them', async (t) => {
  const said = (language: string) =>
    text('{{appointment.date}}, {{appointment.time}}', facts(), { language });
  t.equal(said('ru'), '12 июля, 14:30');
  t.equal(said('pt-BR'), '12 de julho, 14:30');
  t.equal(said('es'), '12 de julio, 14:30');
  t.equal(said('en'), 'July 12, 2:30 PM');
  t.notMatch(said('es-MX'), /[\u00A0\u202F]/, 'no space that makes an SMS dearer');
});

t.test('the hour is that of the place of the visit', async (t) => {
  const given = facts({ appointment: { start: visitStart, zone: 'Asia/Almaty' } });
  t.equal(text('{{appointment.time}}', given), '16:30');
});

t.test('a patient is addressed as is usual in their language', async (t) => {
  const named = (name: TemplateFacts['patientName'], language: string) =>
    text('{{patient.name.salutation|друзья}}', facts({ patientName: name }), { language });
  const name = { given: 'Мария', middle: 'Ивановна', preferred: 'Маша' };
  t.equal(named(name, 'ru'), 'Мария Ивановна');
  t.equal(named({ given: 'Мария', preferred: 'Маша' }, 'ru'), 'Маша');
  t.equal(named({ given: 'Мария' }, 'ru'), 'Мария');
  t.equal(named({ middle: 'Ивановна' }, 'ru'), 'друзья', 'never the patronymic alone');
  t.equal(named({ given: 'Ana', middle: 'Lucía' }, 'es'), 'Ana');
  t.equal(named({ given: 'Ana', preferred: 'Anita' }, 'pt-BR'), 'Anita');
  t.equal(named(null, 'en'), 'друзья');
});

t.test('a missing value takes the fallback, else the message waits for its data', async (t) => {
  const nameless = facts({ patientName: {}, clinic: { name: 'Улыбка', phone: null } });
  t.equal(text('{{patient.name.given | Здравствуйте}}!', nameless), 'Здравствуйте!');
  t.equal(text('До встречи {{patient.name.given|}}', nameless), 'До встречи');
  t.strictSame(render('{{patient.name.given}} {{clinic.phone}} {{visit.date}}', nameless), {
    ok: false,
    reason: 'template-data',
    missing: ['patient.name.given', 'clinic.phone', 'visit.date'],
  });
  t.strictSame(
    render({ subject: '{{offer.code}}', text: 'x', html: '{{loyalty.balance}}' }, facts()),
    { ok: false, reason: 'template-data', missing: ['offer.code', 'loyalty.balance'] },
  );
});

t.test('the programme of loyalty and offers brings its own names', async (t) => {
  const given = facts({ loyalty: { balance: '120' }, offer: { code: 'A1' } });
  t.equal(text('{{loyalty.balance}} {{offer.code}}', given), '120 A1');
  t.equal(text('{{loyalty.constructor|none}} {{offer.toString|none}}', given), 'none none');
});

t.test('a template with a wrong name is refused when it is saved, with its place', async (t) => {
  const faults = checkBodies({
    sms: { ru: { text: 'Привет {{patient.name.first}} {{clinic.name}}' } },
    email: {
      'pt-BR': { subject: 'Oi\r\nBcc: x@y', text: '{{clinic.name', html: '{{constructor}}' },
      'no language': { text: 'x' },
      en: { text: '  ', html: 'x'.repeat(10_001) },
    },
    'a/b~': { es: { text: '{{{clinic.name}}}' } },
  });
  t.strictSame(
    faults.map(({ pointer, code }) => `${pointer} ${code}`),
    [
      '/bodies/sms/ru/text unknown-name',
      '/bodies/email/pt-BR/text unclosed-name',
      '/bodies/email/pt-BR/html unknown-name',
      '/bodies/email/pt-BR/subject line-break',
      '/bodies/email/no language language',
      '/bodies/email/en/html over-limit',
      '/bodies/email/en/text empty',
      '/bodies/a~1b~0/es/text unknown-name',
    ],
  );
  t.match(faults[0]?.detail, 'patient.name.first');
  t.equal(
    checkBodies({ sms: { en: { text: '{{clinic.name}}'.repeat(101) } } })[0]?.code,
    'too-many-names',
  );
});

t.test('what is on file is shown so that only its owner knows it again', async (t) => {
  const onFile = { phone: '+77010001234', email: 'anna.k@mail.example.com', city: 'Казань' };
  const asked = 'Still {{onFile.phone}}, {{onFile.email}}, {{onFile.city}}?';
  t.equal(text(asked, facts({ onFile })), 'Still ***1234, a***@m***.com, К***?');
  t.equal(
    text(asked, facts({ onFile: { ...onFile, email: null } })),
    'missing: onFile.email',
    'a text that asks about nothing does not go',
  );
});

t.test('every name of the contract is known and no other', async (t) => {
  t.strictSame([...templateNames].sort(), [
    ...['date', 'location', 'practitioner', 'service', 'time'].map((name) => `appointment.${name}`),
    'clinic.address',
    'clinic.name',
    'clinic.phone',
    'link.book',
    'link.confirm',
    'link.rate',
    'link.unsubscribe',
    'link.verify',
    'onFile.city',
    'onFile.email',
    'onFile.phone',
    ...['family', 'given', 'middle', 'preferred', 'salutation'].map(
      (name) => `patient.name.${name}`,
    ),
    ...['date', 'location', 'practitioner', 'service', 'time'].map((name) => `visit.${name}`),
  ]);
  for (const name of [...templateNames, 'loyalty.tier', 'offer.validUntil']) {
    t.strictSame(parseText(`{{${name}}}`), [{ name, fallback: null }]);
  }
  for (const name of [
    '',
    ' ',
    'loyalty.',
    'loyalty.a.b',
    'offer.__proto__',
    'toString',
    '__proto__',
    'Clinic.name',
    'clinic.name()',
    '7*7',
    '#each x',
  ]) {
    t.ok('problems' in parseText(`{{${name}}}`), name);
  }
});

t.test("another engine's words are only text", async (t) => {
  for (const body of ["{% render '.env' %}", '<%= 7 * 7 %>', '#{7*7}', '{clinic.name}', 'a}} b']) {
    t.equal(text(body, facts()), body);
  }
});

t.test('the names that a template uses can be asked for', async (t) => {
  const compiled = compileBody({
    subject: '{{clinic.name}}',
    text: '{{clinic.name}} {{visit.date}} {{patient.name.given|you}}',
    html: '{{link.rate}}',
  });
  t.strictSame(namesIn(compiled), ['clinic.name', 'visit.date', 'patient.name.given', 'link.rate']);
  t.strictSame(neededNamesIn(compiled), ['clinic.name', 'visit.date', 'link.rate']);
});

t.test('a name that no person bears is left out', async (t) => {
  for (const given of [
    'http://evil.example',
    'Ana www.evil',
    'evil.com',
    't.me/evil',
    'evil．com',
    'evil。com',
    'ana@evil',
    '89991234567',
    '8 999 123 45 67',
    '٨٩٩٩',
    '{{clinic.phone}}',
    '<img onerror=x>',
    'a\u0301\u0301\u0301\u0301\u0301',
    'x'.repeat(101),
    '   ',
    '\u202E\u202E',
  ]) {
    t.equal(
      text('{{patient.name.given|-}}', facts({ patientName: { given } })),
      '-',
      JSON.stringify(given),
    );
  }
  for (const given of [
    'Ana María',
    "O'Brien",
    'Жан-Поль',
    'St. John',
    'Ольга (мама)',
    'José',
    '李',
    "'; DROP",
    'null',
    'Ana 😀',
  ]) {
    t.equal(text('{{patient.name.given|-}}', facts({ patientName: { given } })), given);
  }
  t.equal(
    text(
      '{{patient.name.salutation|-}}',
      facts({ patientName: { given: 'Мария', middle: 'evil.com' } }),
    ),
    'Мария',
  );
});

t.test('what a value brings stays on its line and runs one way', async (t) => {
  const clinic = { name: 'Ulybka\r\nBcc: x\u202Egnp\u0000' };
  t.equal(text('{{clinic.name}}.', facts({ clinic })), 'Ulybka Bcc: xgnp.');
  const mail = render({ subject: 'A {{clinic.name}}', text: 'x' }, facts({ clinic }), {
    channel: 'email',
  });
  t.ok(mail.ok && mail.subject !== null && isHeaderSafe(mail.subject));
  t.equal(text('a\u202Eb\u0007c\r\nd', facts()), 'ab c\nd', 'an SMS has no control characters');
});

t.test('a value is never read as a template', async () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom(...templateNames), (noise, name) => {
      const value = `${noise}{{${name}}}`;
      const clinic = { name: value };
      const said = text('[{{clinic.name}}]', facts({ clinic }), { channel: 'inbox' });
      return said.endsWith(`{{${name}}}]`);
    }),
  );
});

t.test('any template is compiled or refused, and what is compiled renders', async () => {
  const piece = fc.oneof(
    fc.constantFrom('{{', '}}', '|', '{', '}', ' ', '\n', ...templateNames),
    fc.constantFrom(...templateNames).map((name) => `{{${name}|x}}`),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const written = pieces.join('');
      const parsed = parseText(written);
      const isFine = checkBodies({ sms: { en: { text: `${written}.` } } }).length === 0;
      if ('problems' in parsed) return parsed.problems.length > 0 && !isFine;
      const rendered = render(written, facts());
      return isFine && (rendered.ok || rendered.missing.length > 0);
    }),
    { numRuns: 2000 },
  );
});

t.test('an e-mail escapes values and always has HTML', async (t) => {
  const given = facts({ clinic: { name: '<b>"Rock & Roll"</b>' } });
  const both = render(
    {
      subject: 'S',
      text: '{{clinic.name}}',
      html: '<i>{{clinic.name}}</i> <a href="{{link.confirm}}">x</a>',
    },
    given,
    { channel: 'email' },
  );
  t.strictSame(both, {
    ok: true,
    subject: 'S',
    text: '<b>"Rock & Roll"</b>',
    html: '<i>&lt;b&gt;&quot;Rock &amp; Roll&quot;&lt;/b&gt;</i> <a href="https://r.example/l/a?b=1&amp;c=2">x</a>',
    values: [{ name: 'clinic.name', value: '<b>"Rock & Roll"</b>' }],
  });
  const plain = render('{{clinic.name}}\nДа: {{link.confirm}}.\n\nЖдём!', given, {
    channel: 'email',
  });
  t.equal(
    plain.ok && plain.html,
    '<p>&lt;b&gt;&quot;Rock &amp; Roll&quot;&lt;/b&gt;<br>\nДа: <a href="https://r.example/l/a?b=1&amp;c=2">https://r.example/l/a?b=1&amp;c=2</a>.</p>\n<p>Ждём!</p>',
  );
  const sms = render('x', facts());
  t.equal(sms.ok && sms.html, null);
});

t.test('what stands in a text is told by name, in the order of first use', async (t) => {
  const rendered = render(
    {
      subject: '{{clinic.name}}',
      text: '{{patient.name.preferred|друг}}, {{link.confirm}} {{patient.name.preferred|you}}',
    },
    facts({ patientName: { family: null, given: null, middle: null, preferred: null } }),
  );
  t.same(rendered.ok && rendered.values, [
    { name: 'patient.name.preferred', value: 'друг' },
    { name: 'link.confirm', value: 'https://r.example/l/a?b=1&c=2' },
  ]);
});

t.test('HTML made from a text has only our own tags', async () => {
  const noise = fc.array(
    fc.constantFrom('<', '>', '"', "'", '&', 'http://', 'https://a', '.', ' ', '\n', 'x'),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(noise, (pieces) => {
      const html = htmlFromText(pieces.join(''));
      return !/[<>]/.test(html.replace(/<\/?p>|<br>|<a href="[^"<>]*">|<\/a>/g, ''));
    }),
    { numRuns: 1000 },
  );
});

t.test("a patient reads their own language, else its main form, else the clinic's", async (t) => {
  const bodies = { 'pt-BR': 1, pt: 1, es: 1, ru: 1 };
  t.equal(pickLanguage(bodies, 'pt-BR', 'ru'), 'pt-BR');
  t.equal(pickLanguage(bodies, 'PT_br', 'ru'), 'pt-BR');
  t.equal(pickLanguage(bodies, 'pt-PT', 'ru'), 'pt');
  t.equal(pickLanguage(bodies, 'es-MX', 'ru'), 'es');
  t.equal(pickLanguage(bodies, 'de', 'ru'), 'ru');
  t.equal(pickLanguage(bodies, null, 'es-CO'), 'es');
  t.equal(pickLanguage({ en: 1 }, 'de', 'ru'), null);
  t.equal(pickLanguage({ constructor: 1 }, 'toString', 'ru'), null);
});
