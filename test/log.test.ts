import t from 'tap';
import { createLog } from '../src/log.ts';

t.test('the log keeps ids and places, and no word of an error', async (t) => {
  const lines: string[] = [];
  const log = createLog('trace', { write: (line) => void lines.push(line) });
  const cause = new Error('caused by +79990001122');
  const error = Object.assign(new Error('Key (phone)=(+79990001122) exists', { cause }), {
    code: '23505',
    detail: 'Anna Petrova',
    constraint: 'patients_key',
  });
  log.error(
    { err: error, clinicId: 'c-1', name: 'Anna Petrova', body: { phone: '+79990001122' } },
    'Failed.',
  );
  log.error(error);
  log.child({ name: 'Anna Petrova' }).info({ patientId: 'p-1' }, 'Seen.');
  t.match(JSON.parse(lines[0] ?? ''), {
    level: 'error',
    clinicId: 'c-1',
    err: { type: 'Error', code: '23505', constraint: 'patients_key', cause: { type: 'Error' } },
  });
  t.notMatch(lines.join(''), /79990001122|Anna/);
});
