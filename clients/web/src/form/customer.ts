// The operator's form: what it holds, what is wrong with it. Pure; no DOM.

export interface CustomerForm {
  organization: string;
  customerId: string;
  applicationName: string;
  // YYYY-MM-DD, or empty for none.
  expiryDate: string;
}

export type FormField = keyof CustomerForm;

export const EMPTY_FORM: CustomerForm = {
  organization: '',
  customerId: '',
  applicationName: '',
  expiryDate: '',
};

export const CUSTOMER_ID = /^[A-Z0-9]{3,10}$/;
// proto/kiln/v1/deployments.proto, Customer.
export const MAX_ORGANIZATION = 200;
export const MAX_APPLICATION = 100;

// Names of the texts in the catalogue.
export type FieldProblem =
  | 'organizationMissing'
  | 'customerIdMissing'
  | 'customerIdInvalid'
  | 'applicationMissing'
  | 'tooLong'
  | 'expiryInvalid'
  | 'expiryPast';

// What is wrong, field by field; empty when the form may be sent. `today` is YYYY-MM-DD at the bench.
export function problemsOf(form: CustomerForm, today: string): Partial<Record<FormField, FieldProblem>> {
  const problems: Partial<Record<FormField, FieldProblem>> = {};
  const organization = form.organization.trim();
  if (organization === '') problems.organization = 'organizationMissing';
  else if ([...organization].length > MAX_ORGANIZATION) problems.organization = 'tooLong';
  if (form.customerId === '') problems.customerId = 'customerIdMissing';
  else if (!CUSTOMER_ID.test(form.customerId)) problems.customerId = 'customerIdInvalid';
  const application = form.applicationName.trim();
  if (application === '') problems.applicationName = 'applicationMissing';
  else if ([...application].length > MAX_APPLICATION) problems.applicationName = 'tooLong';
  if (form.expiryDate !== '') {
    if (!isDate(form.expiryDate)) problems.expiryDate = 'expiryInvalid';
    else if (form.expiryDate <= today) problems.expiryDate = 'expiryPast';
  }
  return problems;
}

export function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

// The customer id as it is kept while it is typed: capitals, no blanks.
export function normalizeCustomerId(text: string): string {
  return text.replace(/\s+/g, '').toUpperCase();
}

export function trimmed(form: CustomerForm): CustomerForm {
  return {
    organization: form.organization.trim(),
    customerId: form.customerId,
    applicationName: form.applicationName.trim(),
    expiryDate: form.expiryDate,
  };
}

// Today as the bench's calendar has it.
export function localDate(now: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}
