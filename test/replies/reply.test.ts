import fc from 'fast-check';
import t from 'tap';
import { meaningOf, meanings } from '../../src/replies/reply.ts';

const spoken = {
  stop: [
    'STOP',
    'stop',
    ' Stop. ',
    'STOP!!!',
    '«стоп»',
    'СТОП',
    'Отписаться',
    'SAIR',
    'parar',
    'Pare',
    'BAJA',
    'alto',
    'Salir',
    'detener',
    'STOP ALL',
    'stopall',
    'opt-out',
    'Unsubscribe',
    'ＳＴＯＰ',
    'сто́п',
  ],
  start: ['START', 'Старт', 'unstop', 'começar', 'COMECAR', 'Alta', 'iniciar'],
  confirm: [
    '1',
    '1.',
    'да',
    'Да!',
    'ДА, приду',
    'sim',
    'Sim.',
    'sí',
    'SI',
    'Yes',
    'ok',
    '+',
    '👍',
    '👍🏽',
    '✅',
    'Подтверждаю',
  ],
  cancel: [
    '2',
    'отмена',
    'Отменить',
    'CANCEL',
    'cancelar',
    'Cancelar.',
    'нет',
    'não',
    'nao',
    'no',
    '-',
    '—',
  ],
  other: [
    '',
    ' ',
    '?',
    'I will stop by at 5',
    'Can I start at 9?',
    'не стоп',
    'стоп, но позже позвоните мне',
    'да, но можно позже?',
    'не могу остановиться',
    '12',
    '1 или 2',
    'no hay problema',
    '🙂',
    'STOP smoking',
  ],
} as const;

for (const meaning of meanings) {
  t.test(`what people write is taken as ${meaning}`, async (t) => {
    for (const text of spoken[meaning]) t.equal(meaningOf(text), meaning, text);
  });
}

t.test('a stop within a sentence stops nothing', async () => {
  const word = fc.constantFrom('stop', 'стоп', 'pare', 'sair', 'baja', 'alto', 'salir');
  const around = fc.constantFrom('I will', 'by at five', 'завтра', 'amanhã', 'mañana', '17:30');
  fc.assert(
    fc.property(word, around, fc.boolean(), (stop, rest, isFirst) => {
      const text = isFirst ? `${stop} ${rest}` : `${rest} ${stop}`;
      return meaningOf(text) !== 'stop';
    }),
  );
});

t.test('punctuation, case and spaces around a word change nothing', async () => {
  const mark = fc.constantFrom('.', '!', '…', '"', '«', '»', ' ', '\n', '`', '(', ')');
  const around = fc.array(mark, { maxLength: 5 }).map((marks) => marks.join(''));
  fc.assert(
    fc.property(around, around, fc.boolean(), (before, after, isUpper) => {
      const word = isUpper ? 'ОТПИСАТЬСЯ' : 'отписаться';
      return meaningOf(before + word + after) === 'stop';
    }),
  );
});

t.test('whatever is typed has one meaning, the same however often it is asked', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const meaning = meaningOf(text);
      return meanings.includes(meaning) && meaning === meaningOf(text);
    }),
  );
});
