import type { HostId } from '../history/host-id.ts';

export const paymentKinds = ['payment', 'refund', 'deposit'] as const;
export type PaymentKind = (typeof paymentKinds)[number];

/** Money that a patient gave the clinic, or got back. */
export interface ReadPayment {
  key: HostId;
  patient: HostId;
  visitId: string | null;
  kind: PaymentKind;
  amountMinor: number;
  currency: string;
  /** Null where the host only says when it noted it. */
  paidMs: number | null;
}
