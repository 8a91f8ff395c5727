import t from 'tap';
import { countryPolicy } from '../../src/history/country-policy.ts';
import { readyMadeTemplates } from '../../src/outbox/ready-made/index.ts';
import { unmetDemands } from '../../src/outbox/template-demands.ts';

t.test('the clinic is told what its country asks of a text and the text lacks', async (t) => {
  const bare = { text: 'Скидка 20%!' };
  t.strictSame(unmetDemands(bare, 'marketing', countryPolicy('RU')), [
    'opt-out',
    'contraindications',
  ]);
  t.strictSame(unmetDemands(bare, 'care', countryPolicy('RU')), []);
  t.strictSame(unmetDemands(bare, 'care', countryPolicy('US')), [
    'clinic-name',
    'clinic-contact',
    'opt-out',
  ]);
  t.strictSame(
    unmetDemands(
      { text: 'Имеются противопоказания. Отказ: СТОП' },
      'marketing',
      countryPolicy('RU'),
    ),
    [],
  );
  t.strictSame(unmetDemands({ text: 'STOPPED' }, 'marketing', countryPolicy('BR')), ['opt-out']);
});

t.test('ready-made SMS and e-mail of the countries carry what is asked there', async (t) => {
  const countries = { 'pt-BR': 'BR', es: 'MX', en: 'US' };
  for (const { name, purpose, bodies } of readyMadeTemplates) {
    for (const [language, country] of Object.entries(countries)) {
      for (const channel of ['sms', 'email'] as const) {
        const body = bodies[channel][language] ?? { text: '' };
        const lacking = unmetDemands(body, purpose, countryPolicy(country));
        t.strictSame(lacking, [], `${name} ${channel} ${country}`);
      }
    }
  }
});
