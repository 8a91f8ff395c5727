import { primaryPart } from '../outbox/template-values.ts';

/** What staff read in a task that a patient's answer opened, in the clinic's language. */
export interface StaffTexts {
  cannotCome: string;
  otherTime: string;
  wantsTime: string;
  saysYes: string;
  /** Followed by what was written. */
  writes: string;
  /** Followed by an address and what was written. */
  whoWrites: string;
  /** Followed by a figure from one to five. */
  rates: string;
  detailsChanged: string;
  unanswered: string;
  callBack: string;
  /** Followed by the number. */
  callBackTo: string;
}

const english: StaffTexts = {
  cannotCome: 'The patient asks to cancel the appointment.',
  otherTime: 'The patient asks for another time.',
  wantsTime: 'The patient asks for an appointment.',
  saysYes: 'The patient said yes. Please call to arrange a time.',
  writes: 'The patient writes:',
  whoWrites: 'Several patients share this contact; please find out who writes.',
  rates: 'The patient rated the visit, out of 5:',
  detailsChanged: 'The patient’s contact details have changed.',
  unanswered: 'A patient’s message was not answered today.',
  callBack: 'The patient asks to be called back.',
  callBackTo: 'Someone asks to be called back at',
};

const russian: StaffTexts = {
  cannotCome: 'Пациент просит отменить запись.',
  otherTime: 'Пациент просит другое время.',
  wantsTime: 'Пациент просит записать его на визит.',
  saysYes: 'Пациент ответил «да». Позвоните, чтобы договориться о времени.',
  writes: 'Пациент пишет:',
  whoWrites: 'Этот контакт указан у нескольких пациентов, уточните, кто пишет.',
  rates: 'Пациент оценил визит, из 5:',
  detailsChanged: 'Контакты пациента изменились.',
  unanswered: 'Пациент написал, и сегодня ему не ответили.',
  callBack: 'Пациент просит перезвонить.',
  callBackTo: 'Просят перезвонить по номеру',
};

const portuguese: StaffTexts = {
  cannotCome: 'O paciente pede para cancelar a consulta.',
  otherTime: 'O paciente pede outro horário.',
  wantsTime: 'O paciente pede um horário.',
  saysYes: 'O paciente respondeu que sim. Ligue para combinar um horário.',
  writes: 'O paciente escreve:',
  whoWrites: 'Vários pacientes usam este contato; verifique quem escreve.',
  rates: 'O paciente avaliou a visita, de 1 a 5:',
  detailsChanged: 'Os dados de contato do paciente mudaram.',
  unanswered: 'Um paciente escreveu e hoje ainda não teve resposta.',
  callBack: 'O paciente pede que liguem de volta.',
  callBackTo: 'Pedem que liguem de volta para',
};

const spanish: StaffTexts = {
  cannotCome: 'El paciente pide cancelar la cita.',
  otherTime: 'El paciente pide otro horario.',
  wantsTime: 'El paciente pide una cita.',
  saysYes: 'El paciente respondió que sí. Llámele para acordar un horario.',
  writes: 'El paciente escribe:',
  whoWrites: 'Varios pacientes usan este contacto; averigüe quién escribe.',
  rates: 'El paciente calificó la visita, de 1 a 5:',
  detailsChanged: 'Los datos de contacto del paciente han cambiado.',
  unanswered: 'Un paciente escribió y hoy no se le ha respondido.',
  callBack: 'El paciente pide que le llamen.',
  callBackTo: 'Piden que se llame al número',
};

const byLanguage: Readonly<Record<string, StaffTexts>> = Object.freeze({
  ru: russian,
  pt: portuguese,
  es: spanish,
  en: english,
});

export function staffTexts(language: string): StaffTexts {
  return byLanguage[primaryPart(language)] ?? english;
}
