import { primaryPart } from '../outbox/template-values.ts';

/** The few words that a patient reads on a page of ours. */
export interface PageTexts {
  language: string;
  confirmTitle: string;
  confirmButton: string;
  cannotComeButton: string;
  otherTimeButton: string;
  confirmed: string;
  cannotCome: string;
  /** The appointment moved, was cancelled or is over. */
  noAppointment: string;
  bookTitle: string;
  bookLabel: string;
  bookButton: string;
  booked: string;
  rateTitle: string;
  rateLegend: string;
  rateWorst: string;
  rateBest: string;
  rateLabel: string;
  rateButton: string;
  rated: string;
  verifyTitle: string;
  verifyLabel: string;
  unchangedButton: string;
  changedButton: string;
  verified: string;
  unsubscribeTitle: string;
  unsubscribeNote: string;
  unsubscribeButton: string;
  unsubscribed: string;
  unknown: string;
  expired: string;
  callUs: string;
}

const english: PageTexts = {
  language: 'en',
  confirmTitle: 'Will you come?',
  confirmButton: 'Yes, I will come',
  cannotComeButton: 'I cannot come',
  otherTimeButton: 'Ask for another time',
  confirmed: 'Thank you. We look forward to seeing you.',
  cannotCome: 'Thank you for telling us. We will contact you.',
  noAppointment: 'The time of this appointment has changed, or it is over. Please contact us.',
  bookTitle: 'Which time suits you?',
  bookLabel: 'Days and hours that suit you (if you like)',
  bookButton: 'Please contact me',
  booked: 'Thank you. We will contact you to find a time.',
  rateTitle: 'How was your visit?',
  rateLegend: 'Your rating',
  rateWorst: 'bad',
  rateBest: 'excellent',
  rateLabel: 'What would you like to tell us? (if you like)',
  rateButton: 'Send',
  rated: 'Thank you for telling us.',
  verifyTitle: 'Are your contact details still right?',
  verifyLabel: 'If not, what has changed?',
  unchangedButton: 'All is as it was',
  changedButton: 'Send the changes',
  verified: 'Thank you.',
  unsubscribeTitle: 'No more invitations?',
  unsubscribeNote: 'Messages about appointments that you have made will still come.',
  unsubscribeButton: 'No more invitations',
  unsubscribed: 'You will get no more invitations from us.',
  unknown: 'This link is not valid. Please contact the clinic.',
  expired: 'This link is no longer valid. Please contact us.',
  callUs: 'Telephone:',
};

const russian: PageTexts = {
  language: 'ru',
  confirmTitle: 'Вы придёте?',
  confirmButton: 'Да, приду',
  cannotComeButton: 'Не смогу прийти',
  otherTimeButton: 'Попросить другое время',
  confirmed: 'Спасибо! Будем Вас ждать.',
  cannotCome: 'Спасибо, что предупредили. Мы с Вами свяжемся.',
  noAppointment: 'Время этой записи изменилось, или она уже прошла. Пожалуйста, свяжитесь с нами.',
  bookTitle: 'Какое время Вам удобно?',
  bookLabel: 'Удобные дни и часы (по желанию)',
  bookButton: 'Свяжитесь со мной',
  booked: 'Спасибо! Мы свяжемся с Вами, чтобы подобрать время.',
  rateTitle: 'Как прошёл Ваш визит?',
  rateLegend: 'Ваша оценка',
  rateWorst: 'плохо',
  rateBest: 'отлично',
  rateLabel: 'Что Вы хотели бы нам рассказать? (по желанию)',
  rateButton: 'Отправить',
  rated: 'Спасибо за Ваш отзыв!',
  verifyTitle: 'Ваши контакты не изменились?',
  verifyLabel: 'Если изменились, напишите, что именно',
  unchangedButton: 'Всё верно',
  changedButton: 'Отправить изменения',
  verified: 'Спасибо!',
  unsubscribeTitle: 'Больше не присылать приглашения?',
  unsubscribeNote: 'Сообщения о Ваших записях будут приходить по-прежнему.',
  unsubscribeButton: 'Не присылать приглашения',
  unsubscribed: 'Приглашения больше не будут приходить.',
  unknown: 'Эта ссылка не действует. Пожалуйста, свяжитесь с клиникой.',
  expired: 'Эта ссылка больше не действует. Пожалуйста, свяжитесь с нами.',
  callUs: 'Телефон:',
};

const portuguese: PageTexts = {
  language: 'pt',
  confirmTitle: 'Você vem?',
  confirmButton: 'Sim, eu vou',
  cannotComeButton: 'Não vou poder ir',
  otherTimeButton: 'Pedir outro horário',
  confirmed: 'Obrigado! Esperamos por você.',
  cannotCome: 'Obrigado por avisar. Entraremos em contato.',
  noAppointment: 'O horário desta consulta mudou ou já passou. Por favor, fale conosco.',
  bookTitle: 'Qual horário é melhor para você?',
  bookLabel: 'Dias e horários de sua preferência (se quiser)',
  bookButton: 'Quero que me contatem',
  booked: 'Obrigado! Entraremos em contato para combinar um horário.',
  rateTitle: 'Como foi a sua visita?',
  rateLegend: 'Sua nota',
  rateWorst: 'ruim',
  rateBest: 'excelente',
  rateLabel: 'O que você gostaria de nos contar? (se quiser)',
  rateButton: 'Enviar',
  rated: 'Obrigado pela sua opinião!',
  verifyTitle: 'Seus contatos continuam os mesmos?',
  verifyLabel: 'Se não, o que mudou?',
  unchangedButton: 'Está tudo certo',
  changedButton: 'Enviar as mudanças',
  verified: 'Obrigado!',
  unsubscribeTitle: 'Não quer mais receber convites?',
  unsubscribeNote: 'As mensagens sobre consultas que você marcou continuarão chegando.',
  unsubscribeButton: 'Não quero mais convites',
  unsubscribed: 'Você não receberá mais convites.',
  unknown: 'Este link não é válido. Por favor, fale com a clínica.',
  expired: 'Este link não é mais válido. Por favor, fale conosco.',
  callUs: 'Telefone:',
};

const spanish: PageTexts = {
  language: 'es',
  confirmTitle: '¿Vendrá usted?',
  confirmButton: 'Sí, iré',
  cannotComeButton: 'No podré ir',
  otherTimeButton: 'Pedir otro horario',
  confirmed: '¡Gracias! Le esperamos.',
  cannotCome: 'Gracias por avisarnos. Nos pondremos en contacto con usted.',
  noAppointment: 'El horario de esta cita cambió o ya pasó. Por favor, comuníquese con nosotros.',
  bookTitle: '¿Qué horario le conviene?',
  bookLabel: 'Días y horas que le convienen (si lo desea)',
  bookButton: 'Quiero que me contacten',
  booked: '¡Gracias! Nos pondremos en contacto con usted para acordar un horario.',
  rateTitle: '¿Cómo fue su visita?',
  rateLegend: 'Su calificación',
  rateWorst: 'mala',
  rateBest: 'excelente',
  rateLabel: '¿Qué le gustaría contarnos? (si lo desea)',
  rateButton: 'Enviar',
  rated: '¡Gracias por su opinión!',
  verifyTitle: '¿Sus datos de contacto siguen siendo los mismos?',
  verifyLabel: 'Si no, ¿qué cambió?',
  unchangedButton: 'Todo está bien',
  changedButton: 'Enviar los cambios',
  verified: '¡Gracias!',
  unsubscribeTitle: '¿No desea recibir más invitaciones?',
  unsubscribeNote: 'Los mensajes sobre las citas que usted pidió seguirán llegando.',
  unsubscribeButton: 'No quiero más invitaciones',
  unsubscribed: 'No recibirá más invitaciones.',
  unknown: 'Este enlace no es válido. Por favor, comuníquese con la clínica.',
  expired: 'Este enlace ya no es válido. Por favor, comuníquese con nosotros.',
  callUs: 'Teléfono:',
};

/** Every language that pages speak. */
export const allPageTexts: readonly PageTexts[] = [russian, portuguese, spanish, english];

/** The first of these languages that pages speak, English at last. */
export function pageTexts(...languages: readonly (string | null)[]): PageTexts {
  for (const language of languages) {
    const primary = language === null ? null : primaryPart(language);
    const found = allPageTexts.find((texts) => texts.language === primary);
    if (found) return found;
  }
  return english;
}
