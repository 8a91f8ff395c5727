import type { AdapterError } from '../channel.ts';
import { unansweredError } from '../failure.ts';
import type { NotSentReason } from '../http.ts';
import { isMistrust } from './mistrust.ts';
import type { SmtpFault } from './session.ts';

/** What a failed conversation means for the message. A reply is always certain; silence after the mail never is. */
export function errorOfFault(fault: SmtpFault): AdapterError {
  const { reply, isHandedOver } = fault;
  if (reply !== null && reply >= 400 && reply < 600) return errorOfReply({ ...fault, reply });
  if (isHandedOver) {
    return {
      class: 'unknown_outcome',
      scope: 'message',
      ...codesOf(fault),
      message: 'The mail server may have taken it; it said nothing to that.',
    };
  }
  if (isMistrust(fault.code)) return mistrusted(fault);
  if (fault.code === 'EAUTH') return refusesAccount(fault);
  if (fault.code === 'EMESSAGE')
    return permanent(fault, 'The mail is larger than the server takes.');
  if (fault.code === 'EENVELOPE') return badAddress(fault);
  return notReached(fault);
}

const authenticationReplies: readonly number[] = [530, 534, 535, 538];

function errorOfReply(fault: SmtpFault & { reply: number }): AdapterError {
  const { reply, command, extended } = fault;
  const isTemporary = reply < 500;
  if (authenticationReplies.includes(reply)) return refusesAccount(fault);
  if (isTemporary) return later(fault, reply === 421 || !ofMessage.includes(command));
  if (command === 'RCPT TO') {
    // 5.7: the server's policy, not the address.
    return extended?.startsWith('5.7.')
      ? permanent(fault, 'The mail server refuses it by its policy.')
      : badAddress(fault);
  }
  if (command === 'DATA') return permanent(fault, 'The mail server refuses this mail.');
  return refusesAccount(fault);
}

const ofMessage: readonly string[] = ['RCPT TO', 'DATA'];

function later(fault: SmtpFault, isOfServer: boolean): AdapterError {
  return {
    class: 'temporary',
    scope: isOfServer ? 'channel' : 'message',
    ...codesOf(fault),
    message: 'The mail server did not take it for now.',
  };
}

function badAddress(fault: SmtpFault): AdapterError {
  const message = 'The address takes no mail.';
  return { class: 'recipient_permanent', scope: 'recipient', ...codesOf(fault), message };
}

function permanent(fault: SmtpFault, message: string): AdapterError {
  return { class: 'message_permanent', scope: 'message', ...codesOf(fault), message };
}

/** Also a sender or a client that it does not serve: no message’s own fault. */
function refusesAccount(fault: SmtpFault): AdapterError {
  const message = 'The mail server refuses this account or sender.';
  return { class: 'config', scope: 'channel', ...codesOf(fault), message };
}

/** Whoever answers there may be anybody: neither the password nor a mail is for them. */
function mistrusted(fault: SmtpFault): AdapterError {
  const message = 'The mail server’s certificate is not trusted.';
  return { class: 'config', scope: 'channel', ...codesOf(fault), message };
}

const networkReasons: Readonly<Record<string, NotSentReason>> = {
  malformed: 'malformed',
  'private-address': 'private-address',
  aborted: 'aborted',
};

function notReached(fault: SmtpFault): AdapterError {
  const reason = networkReasons[fault.code] ?? 'connect';
  return { ...unansweredError({ kind: 'not-sent', reason }), ...codesOf(fault) };
}

function codesOf({ reply, extended, code }: SmtpFault) {
  const told = [reply, extended].filter((each) => each !== null).join(' ');
  return { providerCode: told === '' ? code : told, httpStatus: null };
}
