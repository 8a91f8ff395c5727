/** What a patient's short answer means. Only a whole message is taken for a word: "I will stop by at 5" is none. */

export const meanings = ['stop', 'start', 'confirm', 'cancel', 'other'] as const;
export type Meaning = (typeof meanings)[number];

/**
 * Each word is written as people type it. Words for cancelling are never an opt-out: patients cancel
 * visits with them.
 */
const words: Readonly<Record<Exclude<Meaning, 'other'>, readonly string[]>> = Object.freeze({
  stop: [
    ...[
      'stop',
      'stop all',
      'stopall',
      'unsubscribe',
      'opt-out',
      'opt out',
      'optout',
      'end',
      'quit',
    ],
    ...['remove', 'remove me'],
    ...['стоп', 'отписка', 'отписаться', 'отпишите', 'отпишите меня', 'не присылать', 'не пишите'],
    ...['sair', 'parar', 'pare', 'descadastrar', 'remover'],
    ...['baja', 'alto', 'salir', 'detener', 'dar de baja', 'darme de baja', 'arret'],
  ],
  start: [
    ...['start', 'unstop', 'subscribe', 'resume'],
    ...['старт', 'подписка', 'подписаться', 'возобновить'],
    ...['iniciar', 'começar', 'voltar', 'retomar', 'assinar'],
    ...['empezar', 'comenzar', 'alta', 'reanudar', 'suscribir', 'suscribirme'],
  ],
  confirm: [
    ...[
      '1',
      '+',
      '👍',
      '✅',
      'ok',
      'okay',
      'yes',
      'y',
      'yes please',
      'confirm',
      'confirmed',
      'i confirm',
    ],
    ...['i will come', "i'll be there"],
    ...['да', 'ок', 'ага', 'приду', 'да приду', 'буду', 'да буду', 'подтверждаю', 'да подтверждаю'],
    ...['sim', 'sim vou', 'confirmo', 'sim confirmo', 'confirmar', 'confirmado', 'eu vou'],
    ...['sí', 'sí confirmo', 'sí iré', 'confirmada', 'iré'],
  ],
  cancel: [
    ...[
      '2',
      '-',
      '👎',
      '❌',
      'no',
      'n',
      'cancel',
      'cancel it',
      'cancel my appointment',
      "can't come",
    ],
    ...['i cannot come', "i can't come", 'cannot come'],
    ...['нет', 'отмена', 'отменить', 'отмените', 'отмените запись', 'отменяю', 'не приду'],
    ...['нет не приду', 'не смогу', 'не смогу прийти', 'не буду'],
    ...[
      'não',
      'não vou',
      'cancelar',
      'cancela',
      'cancele',
      'não posso',
      'não poderei',
      'não vou poder',
    ],
    ...['no puedo', 'no iré', 'no podré', 'no puedo ir', 'cancelen', 'anular'],
  ],
});

const marksAndInvisible = /[\p{Mn}\p{Me}\p{Cf}\p{Sk}]/gu;
/** What may stand around a word, and for one: a lone `+` or `-` is an answer. */
const punctuation = /[\p{P}`´]+/gu;
const lone = /^[+\-–—−]$/u;

const meaningByWord: ReadonlyMap<string, Meaning> = new Map(
  Object.entries(words).flatMap(([meaning, spellings]) =>
    spellings.map((spelling): [string, Meaning] => [wordOf(spelling), meaning as Meaning]),
  ),
);

export function meaningOf(text: string): Meaning {
  if (text.length > wordCharsMax) return 'other';
  return meaningByWord.get(wordOf(text)) ?? 'other';
}

/** Longer than any word of ours with all the punctuation around it. */
const wordCharsMax = 200;

/** Full-width letters, accents, punctuation and case do not matter. */
function wordOf(text: string): string {
  const plain = text.normalize('NFKC').normalize('NFD').replace(marksAndInvisible, '').trim();
  if (lone.test(plain)) return plain === '+' ? '+' : '-';
  return plain.toUpperCase().replace(punctuation, ' ').replace(/\s+/gu, ' ').trim();
}
