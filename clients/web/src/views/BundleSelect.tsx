import type { Bundle } from '../api/types';
import { useApp } from './context';

export function BundleSelect() {
  const { state, dispatch, t } = useApp();
  const active = Object.values(state.bundles)
    .filter((bundle) => bundle.state === 'STATE_ACTIVE')
    .sort((a, b) => (b.createTime ?? '').localeCompare(a.createTime ?? ''));
  return (
    <div class="field">
      <label for="bundle">
        <span class="field-name">{t('chooseBundle')}</span>
      </label>
      {state.bundlesKnown && active.length === 0 ? (
        <p class="notice notice-scanUnknown">
          {t('noBundles')} <a href="#/firmware">{t('importOne')}</a>
        </p>
      ) : (
        <select
          id="bundle"
          value={state.bundle}
          onChange={(event) => dispatch({ type: 'bundle', bundle: event.currentTarget.value })}
        >
          {active.map((bundle) => (
            <option key={bundle.name} value={bundle.name}>
              {bundleTitle(bundle)}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

export function bundleTitle(bundle: Bundle): string {
  const title = bundle.title || bundle.id.slice(0, 12);
  return [title, bundle.version, bundle.chip].filter(Boolean).join(' · ');
}
