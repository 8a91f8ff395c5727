/** Node's and OpenSSL's codes for a server that cannot prove who it is, or that speaks no TLS where it should. */
const mistrust =
  /CERT|VERIFY|HOSTNAME|INVALID_(CA|PURPOSE)|PATH_LENGTH|WRONG_VERSION|PACKET_LENGTH|UNSUPPORTED_PROTOCOL/;

export function isMistrust(code: string | undefined): code is string {
  return code !== undefined && mistrust.test(code);
}
