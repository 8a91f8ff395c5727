import type { StaffTopic } from '../database/tables.ts';
import { primaryPart } from '../outbox/template-values.ts';
import type { Digest } from './digest.ts';

/**
 * What staff are told by SMS and e-mail: how much there is to do, in their language. No name, no number and no word of
 * a patient's leaves this way. Labels and figures, so that no language has to count.
 */

export interface NoticeText {
  subject: string;
  text: string;
}

/** Figures of one notice. */
export type NoticeFacts =
  | { topic: Exclude<StaffTopic, 'digest'>; open: number }
  | { topic: 'digest'; digest: Digest };

export interface NoticeTerms {
  clinicName: string;
  language: string;
  /** Where they work with it; null where nobody said. */
  url: string | null;
  channel: 'sms' | 'email';
}

export function noticeText(facts: NoticeFacts, terms: NoticeTerms): NoticeText {
  const words = byLanguage[primaryPart(terms.language)] ?? english;
  const title = words[facts.topic];
  const lines =
    facts.topic === 'digest' ? digestLines(facts.digest, words) : [`${words.open}: ${facts.open}`];
  const subject = `${terms.clinicName}: ${title}`;
  const link = terms.url === null ? [] : [terms.url];
  return terms.channel === 'email'
    ? {
        subject,
        text: [`${title}.`, '', ...lines, ...(link.length > 0 ? ['', ...link] : [])].join('\n'),
      }
    : { subject, text: [`${subject}. ${lines.join('; ')}.`, ...link].join(' ') };
}

function digestLines({ visits, birthdays, tasks, threads, feedback }: Digest, words: Words) {
  const lowest = feedback.lowest === null ? '' : `, ${words.lowest}: ${feedback.lowest}`;
  const isOneDay = visits.from === visits.to;
  const when = isOneDay ? words.tomorrow : `${words.until} ${shortDay(visits.to)}`;
  return [
    `${words.visits} ${when}: ${visits.count}, ${words.unconfirmed}: ${visits.unconfirmed}`,
    `${words.birthdays}: ${birthdays.count}`,
    `${words.tasks}: ${tasks.open}, ${words.overdue}: ${tasks.overdue}`,
    `${words.waiting}: ${threads.waiting}`,
    `${words.feedback}: ${feedback.count}${lowest}`,
  ];
}

/** As all four languages write it. */
function shortDay(day: string): string {
  return `${day.slice(8)}.${day.slice(5, 7)}`;
}

type Words = Readonly<
  Record<
    | StaffTopic
    | 'open'
    | 'visits'
    | 'tomorrow'
    | 'until'
    | 'unconfirmed'
    | 'birthdays'
    | 'tasks'
    | 'overdue'
    | 'waiting'
    | 'feedback'
    | 'lowest',
    string
  >
>;

const english: Words = {
  task: 'new task',
  thread: 'a patient wrote',
  callback: 'a patient asks to be called back',
  digest: 'the day ahead',
  open: 'Open',
  visits: 'Visits',
  tomorrow: 'tomorrow',
  until: 'until',
  unconfirmed: 'not confirmed',
  birthdays: 'Birthdays this week',
  tasks: 'Open tasks',
  overdue: 'overdue',
  waiting: 'Patients waiting for an answer',
  feedback: 'New ratings',
  lowest: 'lowest',
};

const russian: Words = {
  task: 'новая задача',
  thread: 'пациент написал сообщение',
  callback: 'пациент просит перезвонить',
  digest: 'сводка на день',
  open: 'Открыто',
  visits: 'Визиты',
  tomorrow: 'завтра',
  until: 'до',
  unconfirmed: 'не подтверждено',
  birthdays: 'Дни рождения на неделе',
  tasks: 'Открытые задачи',
  overdue: 'просрочено',
  waiting: 'Ждут ответа',
  feedback: 'Новые оценки',
  lowest: 'самая низкая',
};

const portuguese: Words = {
  task: 'nova tarefa',
  thread: 'um paciente escreveu',
  callback: 'um paciente pede que liguem de volta',
  digest: 'resumo do dia',
  open: 'Em aberto',
  visits: 'Consultas',
  tomorrow: 'amanhã',
  until: 'até',
  unconfirmed: 'sem confirmação',
  birthdays: 'Aniversários da semana',
  tasks: 'Tarefas em aberto',
  overdue: 'atrasadas',
  waiting: 'Pacientes à espera de resposta',
  feedback: 'Novas avaliações',
  lowest: 'a mais baixa',
};

const spanish: Words = {
  task: 'nueva tarea',
  thread: 'un paciente escribió',
  callback: 'un paciente pide que le llamen',
  digest: 'resumen del día',
  open: 'Pendientes',
  visits: 'Citas',
  tomorrow: 'mañana',
  until: 'hasta el',
  unconfirmed: 'sin confirmar',
  birthdays: 'Cumpleaños de la semana',
  tasks: 'Tareas pendientes',
  overdue: 'atrasadas',
  waiting: 'Pacientes que esperan respuesta',
  feedback: 'Nuevas valoraciones',
  lowest: 'la más baja',
};

const byLanguage: Readonly<Record<string, Words>> = Object.freeze({
  ru: russian,
  pt: portuguese,
  es: spanish,
  en: english,
});
