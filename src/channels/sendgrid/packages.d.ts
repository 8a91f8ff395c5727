/** The package's own types tell of a default export that is not there, and hide the class that is. */
declare module '@sendgrid/mail' {
  export interface MailRequest {
    method: 'POST';
    url: string;
    body: object;
  }

  export interface Address {
    email: string;
    name?: string;
  }

  export interface Personalization {
    to: Address;
    subject: string;
    customArgs: Record<string, string>;
    headers?: Record<string, string>;
    substitutions?: Record<string, string>;
  }

  export interface Mail {
    from: Address;
    replyTo?: string;
    personalizations: Personalization[];
    text: string;
    html?: string;
    substitutionWrappers: [string, string];
    trackingSettings: { subscriptionTracking: { enable: boolean } };
  }

  export class MailService {
    setClient(client: { request(request: MailRequest): Promise<unknown> }): this;
    send(mail: Mail): Promise<unknown>;
  }
}
