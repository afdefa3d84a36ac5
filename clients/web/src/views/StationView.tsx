import { useEffect, useState } from 'preact/hooks';
import { ApiError } from '../api/client';
import type { Health, LedgerVerdict, Role } from '../api/types';
import { dateTime } from '../i18n/format';
import type { TextKey } from '../i18n/texts';
import { asApiError } from '../state/actions';
import { useApp } from './context';
import { ApiErrorPanel } from './ErrorPanel';
import { checkName } from './health';
import { Icon, type IconName } from './Icon';
import { Spinner } from './Spinner';
import { useLoad } from './use-load';

const LEVELS: Readonly<Record<Health['level'], { text: TextKey; icon: IconName; mode: string }>> = {
  LEVEL_UNSPECIFIED: { text: 'levelUnknown', icon: 'offline', mode: 'absent' },
  LEVEL_HEALTHY: { text: 'levelHealthy', icon: 'ready', mode: 'done' },
  LEVEL_DEGRADED: { text: 'levelDegraded', icon: 'attention', mode: 'unusable' },
  LEVEL_UNHEALTHY: { text: 'levelUnhealthy', icon: 'fault', mode: 'failed' },
};

const ROLE_TEXTS: Readonly<Record<Role, TextKey>> = {
  viewer: 'roleViewer',
  operator: 'roleOperator',
  admin: 'roleAdmin',
};

// How often the counts are asked for while somebody looks.
const REFRESH_MS = 5000;

export function StationView() {
  const { state, t, language, actions, dispatch, now, mayManage } = useApp();
  // Health arrives by events only when it changes; a visit to this page asks afresh.
  const asked = useLoad(() => actions.client.health(), [state.connection, state.health]);
  const station = useLoad(() => actions.client.station(), [state.connection, Math.floor(now / REFRESH_MS)]);
  useEffect(() => {
    if (station.value) dispatch({ type: 'station', station: station.value });
  }, [station.value, dispatch]);
  const health = asked.value ?? state.health;
  const level = LEVELS[health?.level ?? 'LEVEL_UNSPECIFIED'];
  const info = state.station;
  const facts: [string, string][] = [
    [t('name'), info?.stationId ?? ''],
    [t('version'), info?.version ?? ''],
    [t('runningSince'), dateTime(language, info?.startTime)],
    [
      t('queue'),
      info
        ? t('queueText', { running: info.deploymentsRunning ?? 0, pending: info.deploymentsPending ?? 0 })
        : '',
    ],
    [t('stream'), `${t(CONNECTION[state.connection])}, ${t('lastEvent', { n: state.lastSequence })}`],
    [t('exportFolder'), info?.exportDirectory ?? ''],
    [t('ledgerFile'), info?.ledgerPath ?? ''],
    [t('schema'), info?.ledgerSchema ? String(info.ledgerSchema) : ''],
    [t('sqlite'), info?.sqliteVersion ?? ''],
    [t('fastLoaders'), info?.stubChips?.join(', ') || t('none')],
    [t('you'), state.session?.role ? `${state.session.name}, ${t(ROLE_TEXTS[state.session.role])}` : ''],
  ];
  return (
    <div class="page">
      <div class="page-head">
        <h1>{t('station')}</h1>
      </div>
      {info?.draining && <p class="stale">{t('draining')}</p>}
      <div class="columns">
        <section class="panel">
          <h2>{t('health')}</h2>
          <p class={`health-level badge badge-${level.mode}`}>
            <Icon name={level.icon} /> {t(level.text)}
          </p>
          <ul class="checks">
            {(health?.checks ?? []).map((check) => (
              <li key={check.name} class={check.ok ? 'check-ok' : 'check-fails'}>
                <Icon name={check.ok ? 'ready' : 'attention'} />
                <div>
                  <p class="check-name">
                    {checkName(t, check.name)} · {t(check.ok ? 'ok' : 'fails')}
                    {check.critical && !check.ok && <span class="chip">{t('critical')}</span>}
                  </p>
                  {check.message && (
                    <p class="hint" lang="en">
                      {check.message}
                    </p>
                  )}
                </div>
              </li>
            ))}
          </ul>
        </section>
        <section class="panel">
          <h2>{t('about2')}</h2>
          <dl class="facts">
            {facts.map(
              ([name, value]) =>
                value !== '' && (
                  <div key={name}>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                  </div>
                ),
            )}
          </dl>
          {mayManage && <LedgerCheck />}
        </section>
      </div>
    </div>
  );
}

// Every hash of the ledger's chain, on request: it takes a while on a station that is years old.
function LedgerCheck() {
  const { t, actions } = useApp();
  const [state, setState] = useState<LedgerVerdict | ApiError | 'running' | null>(null);
  const verify = async () => {
    setState('running');
    setState(await actions.client.verifyLedger().catch(asApiError));
  };
  return (
    <div class="ledger-check">
      <button type="button" class="button" disabled={state === 'running'} onClick={() => void verify()}>
        {state === 'running' ? <Spinner size="small" /> : <Icon name="search" />} {t('verifyLedger')}
      </button>
      <div role="status">
        {state !== null && state !== 'running' && !(state instanceof ApiError) && (
          <p class={state.ok ? 'notice' : 'problem'}>
            {state.ok
              ? t('ledgerSound', { count: state.eventsChecked ?? '0' })
              : t('ledgerBad', { problem: state.problem ?? '' })}
          </p>
        )}
      </div>
      {state instanceof ApiError && <ApiErrorPanel error={state} />}
    </div>
  );
}

const CONNECTION = {
  connecting: 'connectionConnecting',
  live: 'connectionLive',
  reconnecting: 'connectionReconnecting',
  restarting: 'connectionRestarting',
  'signed-out': 'connectionReconnecting',
} as const;
