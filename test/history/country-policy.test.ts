import t from 'tap';
import type { ConsentState, Purpose } from '../../src/database/tables.ts';
import {
  consentAllows,
  consentTerms,
  countryPolicies,
  countryPolicy,
} from '../../src/history/country-policy.ts';
import { isSendWindow } from '../../src/history/send-window.ts';

const states: ConsentState[] = ['granted', 'denied', 'unknown'];
const purposes: Purpose[] = ['transactional', 'care', 'marketing'];

function allowed(purpose: Purpose, country: string): ConsentState[] {
  return states.filter((state) => consentAllows(purpose, state, countryPolicy(country)));
}

t.test('rows are shipped for the countries we know, each with its source', async (t) => {
  t.strictSame([...countryPolicies.keys()].sort(), [
    'AR',
    'BR',
    'CL',
    'CO',
    'KZ',
    'MX',
    'RU',
    'US',
  ]);
  for (const [country, row] of countryPolicies) {
    t.equal(row.country, country);
    t.ok(row.source.length > 10, `${country} names its source`);
    for (const purpose of purposes) {
      const hours = row.allowedHours[purpose].filter((day) => day !== null);
      t.ok(hours.length >= 6 && hours.every(isSendWindow), `${country} ${purpose} has hours`);
    }
  }
});

t.test('a reminder goes unless the patient said no, everywhere', async (t) => {
  for (const country of ['RU', 'KZ', 'BR', 'CO', 'MX', 'AR', 'CL', 'US', 'DE', '']) {
    t.strictSame(allowed('transactional', country), ['granted', 'unknown'], country);
  }
});

t.test('a recall needs consent in Russia, Brazil and where we know no rule', async (t) => {
  for (const country of ['RU', 'ru', 'BR', 'DE', 'UZ', '']) {
    t.strictSame(allowed('care', country), ['granted'], country);
  }
  for (const country of ['KZ', 'CO', 'MX', 'AR', 'CL', 'US']) {
    t.strictSame(allowed('care', country), ['granted', 'unknown'], country);
  }
});

t.test('a greeting with an offer goes only to who agreed, everywhere', async (t) => {
  for (const country of [...countryPolicies.keys(), 'DE']) {
    t.strictSame(allowed('marketing', country), ['granted'], country);
  }
});

t.test('the terms that SQL is fed decide the same', async (t) => {
  for (const country of [...countryPolicies.keys(), 'DE']) {
    const terms = consentTerms(countryPolicy(country));
    for (const purpose of purposes) {
      for (const state of states) {
        const bySql = terms[`${purpose}NeedsGrant`] ? state === 'granted' : state !== 'denied';
        t.equal(
          bySql,
          consentAllows(purpose, state, countryPolicy(country)),
          `${country} ${purpose} ${state}`,
        );
      }
    }
  }
});

t.test(
  'in Russia a person answers for marketing, and medical advertising carries its warning',
  async (t) => {
    const needing = [...countryPolicies.values()].filter((row) => row.marketingNeedsApprover);
    t.strictSame(
      needing.map((row) => row.country),
      ['RU'],
    );
    t.ok(countryPolicy('RU').mustInclude.marketing.includes('contraindications'));
  },
);

t.test('a country without a row is open from 09:00 to 20:00, Monday to Saturday', async (t) => {
  const { allowedHours, country, isLaw } = countryPolicy('DE');
  t.equal(country, null);
  t.notOk(isLaw);
  for (const purpose of purposes) {
    t.strictSame(allowedHours[purpose][0], { start: '09:00', end: '20:00' });
    t.strictSame(allowedHours[purpose][5], { start: '09:00', end: '20:00' });
    t.equal(allowedHours[purpose][6], null);
  }
});
