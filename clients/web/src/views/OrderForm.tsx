import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import {
  type CustomerForm,
  type FormField,
  localDate,
  MAX_APPLICATION,
  MAX_ORGANIZATION,
  normalizeCustomerId,
  problemsOf,
} from '../form/customer';
import { parseLine, ScanDetector } from '../form/scan';
import { customerIdCharacter, hasThai, kedmaneeToUs } from '../form/thai-keyboard';
import type { TextKey } from '../i18n/texts';
import { type PortCard, targetPorts } from '../state/selectors';
import { BundleSelect } from './BundleSelect';
import { useApp } from './context';
import { ApiErrorPanel } from './ErrorPanel';
import { Icon } from './Icon';
import { Spinner } from './Spinner';
import { TargetChoice } from './TargetChoice';

type Notice = { text: TextKey; values?: Record<string, string> };

export function OrderForm({ cards }: { cards: PortCard[] }) {
  const { state, dispatch, actions, t, now } = useApp();
  const { form, order } = state;
  const formElement = useRef<HTMLFormElement>(null);
  const [notice, setNotice] = useState<Notice | null>(null);
  const [noTarget, setNoTarget] = useState(false);
  const today = localDate(new Date(now));
  const problems = problemsOf(form, today);
  const ports = targetPorts(state, cards);
  const busy = order.phase !== 'idle';

  const fill = (fields: Partial<CustomerForm>) => {
    dispatch({ type: 'form-fill', form: fields });
    setNotice({ text: 'scanned', values: { id: fields.customerId ?? '' } });
  };
  useScanner(formElement, fill, () => setNotice({ text: 'scanUnknown' }));

  // The first empty field is where typing belongs, when the page opens and after "Deploy another". Not after the next
  // frame: a scan that fills the form before it would lose its notice and its place.
  const empty = form.organization === '' && form.customerId === '' && form.applicationName === '';
  useLayoutEffect(() => {
    if (empty && matchMedia('(hover: hover)').matches && !document.querySelector('dialog[open]')) {
      formElement.current?.querySelector<HTMLInputElement>('#organization')?.focus({ preventScroll: true });
      setNotice(null);
    }
  }, [empty]);
  useEffect(() => setNoTarget(false), [state.target, ports.length]);

  const submit = async () => {
    const outcome = await actions.deploy(Date.now());
    setNoTarget(outcome === 'no-target');
    if (outcome === 'invalid') {
      // After the messages are there, so that the field is read with its own.
      requestAnimationFrame(() =>
        formElement.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus(),
      );
    }
  };

  const field = (name: FormField) => ({
    id: name,
    value: form[name],
    problem: state.touched[name] ? problems[name] : undefined,
    onInput: (value: string) => {
      setNotice(null);
      dispatch({ type: 'form-field', field: name, value });
    },
    onBlur: () => {
      if (form[name] !== '') dispatch({ type: 'form-touch', fields: [name] });
    },
    onPaste: (event: ClipboardEvent) => {
      const fields = parseLine(event.clipboardData?.getData('text/plain') ?? '');
      if (fields === null) return;
      event.preventDefault();
      fill(fields);
    },
  });

  return (
    <form
      class="order panel"
      aria-label={t('customer')}
      ref={formElement}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <h2 class="unseen">{t('customer')}</h2>
      <p class="hint scan-hint">
        <Icon name="scan" />
        <span>{t('scanHint')}</span>
      </p>
      <div role="status" class={notice ? `notice notice-${notice.text}` : 'unseen'}>
        {notice && t(notice.text, notice.values)}
      </div>
      <TextField
        {...field('organization')}
        label={t('organization')}
        placeholder="โรงพยาบาลกรุงเทพ"
        maxLength={MAX_ORGANIZATION}
      />
      <CustomerIdField {...field('customerId')} />
      <TextField
        {...field('applicationName')}
        label={t('applicationName')}
        placeholder="SMC_Cabinet_Ward_A"
        maxLength={MAX_APPLICATION}
      />
      <ExpiryField field={field('expiryDate')} today={today} />
      <BundleSelect />
      <TargetChoice cards={cards} />
      {noTarget && (
        <p class="problem" role="alert">
          {t('noTarget')}
        </p>
      )}
      {order.error && <ApiErrorPanel error={order.error} />}
      <button type="submit" class="button primary deploy" aria-disabled={busy} data-testid="deploy">
        {busy ? (
          <>
            <Spinner size="small" /> {t(order.phase === 'checking' ? 'checkingBoards' : 'sending')}
          </>
        ) : (
          <>
            <span>{t(order.unsent.length > 0 ? 'sendAgain' : 'deploy')}</span>
            {(state.target !== 'ready' || ports.length > 0) && (
              <span class="deploy-where">
                {state.target === 'any'
                  ? t('deployNext')
                  : state.target !== 'ready'
                    ? actions.labelOf(state.target.port)
                    : ports.length === 1
                      ? t('deployOne')
                      : t('deployBoards', { count: ports.length })}
              </span>
            )}
          </>
        )}
      </button>
    </form>
  );
}

interface FieldProps {
  id: FormField;
  value: string;
  problem: TextKey | undefined;
  onInput: (value: string) => void;
  onBlur: () => void;
  onPaste: (event: ClipboardEvent) => void;
}

function TextField({
  id,
  label,
  note,
  value,
  problem,
  onInput,
  onBlur,
  onPaste,
  ...rest
}: FieldProps & {
  label: string;
  note?: string;
  placeholder?: string;
  maxLength?: number;
  type?: string;
  min?: string;
}) {
  const { t } = useApp();
  return (
    <div class="field">
      <label for={id}>
        <span class="field-name">{label}</span> {note && <span class="field-note">{note}</span>}
      </label>
      <input
        id={id}
        value={value}
        autocomplete="off"
        aria-required={note === undefined}
        aria-invalid={problem !== undefined}
        aria-describedby={problem ? `${id}-problem` : undefined}
        onInput={(event) => onInput(event.currentTarget.value)}
        onBlur={onBlur}
        onPaste={onPaste}
        {...rest}
      />
      {problem && (
        <p id={`${id}-problem`} class="problem">
          {t(problem)}
        </p>
      )}
    </div>
  );
}

// Most orders have no expiry date: the field comes when it is asked for.
function ExpiryField({ field, today }: { field: FieldProps; today: string }) {
  const { t } = useApp();
  const [wanted, setWanted] = useState(false);
  if (!wanted && field.value === '') {
    return (
      <button type="button" class="button quiet add-expiry" onClick={() => setWanted(true)}>
        + {t('addExpiry')}
      </button>
    );
  }
  return (
    <div class="expiry">
      <TextField {...field} label={t('expiryDate')} note={t('optional')} type="date" min={today} />
      <button
        type="button"
        class="button"
        aria-label={t('noExpiry')}
        title={t('noExpiry')}
        onClick={() => {
          setWanted(false);
          field.onInput('');
        }}
      >
        <Icon name="cancel" />
      </button>
    </div>
  );
}

// Capitals while typing, whatever the keyboard's layout; pasted Thai letters are pointed out, with what their keys
// say in Latin.
function CustomerIdField({ id, value, problem, onInput, onBlur, onPaste }: FieldProps) {
  const { t } = useApp();
  const meant = hasThai(value) ? normalizeCustomerId(kedmaneeToUs(value)) : null;
  const message = meant === null ? problem : undefined;
  return (
    <div class="field">
      <label for={id}>
        <span class="field-name">{t('customerId')}</span>{' '}
        <span class="field-note">{t('customerIdHint')}</span>
      </label>
      <input
        id={id}
        class="code"
        value={value}
        placeholder="BGK001"
        maxLength={10}
        autocomplete="off"
        autocapitalize="characters"
        spellcheck={false}
        inputMode="text"
        aria-required
        aria-invalid={message !== undefined || meant !== null}
        aria-describedby={`${id}-hint`}
        onKeyDown={(event) => {
          if (event.ctrlKey || event.metaKey || event.altKey) return;
          const character = customerIdCharacter(event);
          if (character === null) return;
          event.preventDefault();
          insert(event.currentTarget, character);
          onInput(event.currentTarget.value);
        }}
        onInput={(event) => onInput(event.currentTarget.value)}
        onBlur={onBlur}
        onPaste={onPaste}
      />
      <div id={`${id}-hint`}>
        {meant !== null ? (
          <p class="problem convert" role="alert">
            <span>{t('thaiInId', { text: meant })}</span>
            <button type="button" class="button small" onClick={() => onInput(meant)}>
              {t('convert', { text: meant })}
            </button>
          </p>
        ) : (
          message && <p class="problem">{t(message)}</p>
        )}
      </div>
    </div>
  );
}

// As typing would: replaces the selection, leaves the caret behind it.
function insert(input: HTMLInputElement, character: string): void {
  const start = input.selectionStart ?? input.value.length;
  const end = input.selectionEnd ?? start;
  if (input.value.length - (end - start) >= input.maxLength) return;
  input.setRangeText(character, start, end, 'end');
}

// Listens for scanners, wherever the focus is on the bench. What a scan typed into a field is taken back.
function useScanner(
  form: { current: HTMLFormElement | null },
  onFields: (fields: Partial<CustomerForm>) => void,
  onUnknown: () => void,
): void {
  const { dispatch, state } = useApp();
  const latest = useRef({ form: state.form, onFields, onUnknown });
  latest.current = { form: state.form, onFields, onUnknown };
  useEffect(() => {
    const detector = new ScanDetector();
    let before: CustomerForm = latest.current.form;
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
      const found = detector.feed(event, event.timeStamp);
      if (found === null) return;
      if (found === 'start') {
        before = latest.current.form;
        return;
      }
      event.preventDefault();
      event.stopPropagation();
      if (found === 'held') return;
      const fields = parseLine(found.line) ?? idOnly(found.line);
      dispatch({ type: 'form-fill', form: before });
      if (fields) latest.current.onFields(fields);
      else latest.current.onUnknown();
      form.current?.querySelector<HTMLElement>('[data-testid=deploy]')?.focus({ preventScroll: true });
    };
    document.addEventListener('keydown', onKey, true);
    return () => document.removeEventListener('keydown', onKey, true);
  }, [dispatch, form]);
}

// A barcode that is a customer id and nothing else.
function idOnly(line: string): Partial<CustomerForm> | null {
  const customerId = normalizeCustomerId(line);
  return problemsOf({ organization: 'x', applicationName: 'x', expiryDate: '', customerId }, '').customerId
    ? null
    : { customerId };
}
