import { useState } from 'preact/hooks';
import { filterQuery, type HistoryFilter } from '../api/client';
import { DEPLOYMENT_STATES, type Deployment, type DeploymentState } from '../api/types';
import { dateTime, duration } from '../i18n/format';
import type { State } from '../state/model';
import { isEnded } from '../state/reducer';
import { useApp } from './context';
import { ApiErrorPanel } from './ErrorPanel';
import { Icon } from './Icon';
import { Spinner } from './Spinner';
import { STATE_TEXTS, StateBadge } from './StateBadge';
import { useLoad } from './use-load';

const PAGE_SIZE = 25;
// The contract's limit is 100 bytes; a Thai letter has three.
const MAX_TEXT = 33;
const NO_FILTER = { text: '', state: '', from: '', to: '' } satisfies Partial<HistoryFilter>;
type Filter = Pick<HistoryFilter, keyof typeof NO_FILTER>;

export function HistoryView() {
  const { state, t, actions } = useApp();
  const [draft, setDraft] = useState<Filter>(NO_FILTER);
  const [filter, setFilter] = useState<Filter>(NO_FILTER);
  // Tokens of the pages before the shown one, the first page's empty one included.
  const [tokens, setTokens] = useState(['']);
  const token = tokens[tokens.length - 1] ?? '';
  const page = useLoad(
    () => actions.client.listDeployments(filter, PAGE_SIZE, token),
    // The first page follows what begins and ends on the station.
    [filter, token, token === '' ? milestones(state.deployments) : ''],
  );
  const set = (change: Partial<Filter>) => setDraft({ ...draft, ...change });
  const search = (next: Filter) => {
    setTokens(['']);
    setFilter(next);
  };
  const next = page.value?.nextPageToken ?? '';
  const found = page.value?.deployments ?? [];
  return (
    <div class="page">
      <div class="page-head">
        <h1>{t('history')}</h1>
        <a class="button" href={`/v1/deployments.csv?${filterQuery(filter)}`} download>
          <Icon name="download" /> {t('downloadCsv')}
        </a>
      </div>
      <form
        class="filters panel"
        onSubmit={(event) => {
          event.preventDefault();
          search({ ...draft, text: draft.text.trim() });
        }}
      >
        <label class="field filter-text">
          <span class="field-name">{t('searchText')}</span>
          <input
            type="search"
            value={draft.text}
            maxLength={MAX_TEXT}
            onInput={(event) => set({ text: event.currentTarget.value })}
          />
        </label>
        <label class="field">
          <span class="field-name">{t('state')}</span>
          <select
            value={draft.state}
            onChange={(event) => set({ state: event.currentTarget.value as DeploymentState | '' })}
          >
            <option value="">{t('allStates')}</option>
            {DEPLOYMENT_STATES.map((one) => (
              <option key={one} value={one}>
                {t(STATE_TEXTS[one])}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span class="field-name">{t('from')}</span>
          <input
            type="date"
            value={draft.from}
            onInput={(event) => set({ from: event.currentTarget.value })}
          />
        </label>
        <label class="field">
          <span class="field-name">{t('to')}</span>
          <input type="date" value={draft.to} onInput={(event) => set({ to: event.currentTarget.value })} />
        </label>
        <div class="buttons">
          <button type="submit" class="button primary">
            <Icon name="search" /> {t('search')}
          </button>
          <button
            type="button"
            class="button"
            onClick={() => {
              setDraft(NO_FILTER);
              search(NO_FILTER);
            }}
          >
            {t('clear')}
          </button>
        </div>
      </form>
      {page.error && <ApiErrorPanel error={page.error} />}
      {page.loading && page.value === null && <Spinner size="large">{t('loading')}</Spinner>}
      {page.value && found.length === 0 && <p class="empty">{t('nothingFound')}</p>}
      {found.length > 0 && <Table deployments={found} />}
      <nav class="pager" aria-label={t('page', { n: tokens.length })}>
        <button
          type="button"
          class="button"
          disabled={tokens.length === 1}
          onClick={() => setTokens(tokens.slice(0, -1))}
        >
          <Icon name="back" /> {t('previousPage')}
        </button>
        <span>{t('page', { n: tokens.length })}</span>
        <button
          type="button"
          class="button"
          disabled={next === ''}
          onClick={() => setTokens([...tokens, next])}
        >
          {t('nextPage')} <Icon name="next" />
        </button>
      </nav>
    </div>
  );
}

function milestones(deployments: State['deployments']): string {
  const all = Object.values(deployments);
  return `${all.length} ${all.filter(isEnded).length}`;
}

function Table({ deployments }: { deployments: Deployment[] }) {
  const { t, language, actions } = useApp();
  return (
    <table class="table">
      <thead>
        <tr>
          <th scope="col">{t('customer')}</th>
          <th scope="col">{t('state')}</th>
          <th scope="col">{t('time')}</th>
          <th scope="col">{t('port')}</th>
          <th scope="col">{t('mac')}</th>
          <th scope="col">{t('duration')}</th>
        </tr>
      </thead>
      <tbody>
        {deployments.map((deployment) => (
          <tr key={deployment.name}>
            <td>
              <a class="row-link" href={`#/history/${deployment.name.replace('deployments/', '')}`}>
                {deployment.customer.customerId}
              </a>
              <span class="row-note">{deployment.customer.organization}</span>
            </td>
            <td>
              <StateBadge state={deployment.state} />
              {(deployment.attempt ?? 1) > 1 && (
                <span class="row-note">{t('attemptN', { n: deployment.attempt ?? 1 })}</span>
              )}
            </td>
            <td data-label={t('time')}>{dateTime(language, deployment.createTime)}</td>
            <td data-label={t('port')}>
              {actions.labelOf(deployment.port || deployment.requestedPort || '')}
            </td>
            <td data-label={t('mac')}>
              <code>{deployment.mac}</code>
            </td>
            <td data-label={t('duration')}>{took(deployment)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function took(deployment: Deployment): string {
  const milliseconds = Date.parse(deployment.endTime ?? '') - Date.parse(deployment.startTime ?? '');
  return Number.isNaN(milliseconds) ? '' : duration(milliseconds);
}
