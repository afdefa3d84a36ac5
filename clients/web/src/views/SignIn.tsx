import { useEffect, useRef, useState } from 'preact/hooks';
import type { ApiError } from '../api/client';
import { asApiError } from '../state/actions';
import { useApp } from './context';
import { ApiErrorPanel } from './ErrorPanel';
import { Icon } from './Icon';

export function SignIn() {
  const { t, actions, dispatch } = useApp();
  const [token, setToken] = useState('');
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);

  const submit = async (event: Event) => {
    event.preventDefault();
    if (busy || token === '') return;
    setBusy(true);
    setError(null);
    try {
      await actions.client.signIn(token);
      dispatch({ type: 'session', session: await actions.client.session() });
      dispatch({ type: 'connection', connection: 'connecting' });
    } catch (caught) {
      setError(asApiError(caught));
      input.current?.focus();
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="sign-in panel" onSubmit={(event) => void submit(event)}>
      <h1>
        <Icon name="lock" /> {t('signInTitle')}
      </h1>
      <p>{t('signInText')}</p>
      <label class="field">
        <span class="field-name">{t('token')}</span>
        <input
          ref={input}
          type="password"
          autocomplete="current-password"
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
      </label>
      {error &&
        (error.status === 401 ? (
          <p class="problem" role="alert">
            {t('signInWrong')}
          </p>
        ) : (
          <ApiErrorPanel error={error} />
        ))}
      <button type="submit" class="button primary" disabled={busy}>
        {t('signIn')}
      </button>
    </form>
  );
}
