import { useRef, useState } from 'preact/hooks';
import type { ApiError } from '../api/client';
import type { Bundle } from '../api/types';
import { bytes, dateTime, hex } from '../i18n/format';
import { asApiError } from '../state/actions';
import { bundleTitle } from './BundleSelect';
import { useApp } from './context';
import { ApiErrorPanel } from './ErrorPanel';
import { Icon } from './Icon';

export function FirmwareView() {
  const { state, t, mayManage } = useApp();
  const [withRetired, setWithRetired] = useState(false);
  const bundles = Object.values(state.bundles)
    .filter((bundle) => withRetired || bundle.state !== 'STATE_RETIRED')
    .sort((a, b) => (b.createTime ?? '').localeCompare(a.createTime ?? ''));
  return (
    <div class="page">
      <div class="page-head">
        <h1>{t('firmware')}</h1>
        <label class="check">
          <input
            type="checkbox"
            checked={withRetired}
            onChange={(event) => setWithRetired(event.currentTarget.checked)}
          />
          {t('showRetired')}
        </label>
      </div>
      {mayManage && <ImportForm />}
      {state.bundlesKnown && bundles.length === 0 && <p class="empty">{t('noBundles')}</p>}
      {bundles.map((bundle) => (
        <BundleCard key={bundle.name} bundle={bundle} />
      ))}
    </div>
  );
}

type Import =
  | { phase: 'idle' }
  | { phase: 'sending'; fraction: number }
  | { phase: 'done'; title: string; before: boolean }
  | { phase: 'failed'; error: ApiError };

function ImportForm() {
  const { t, actions } = useApp();
  const [file, setFile] = useState<File | null>(null);
  const [title, setTitle] = useState('');
  const [state, setState] = useState<Import>({ phase: 'idle' });
  const abort = useRef<AbortController | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const busy = state.phase === 'sending';

  const send = async () => {
    if (file === null || busy) return;
    abort.current = new AbortController();
    setState({ phase: 'sending', fraction: 0 });
    try {
      const answer = await actions.client.importBundle(
        file,
        title.trim(),
        (fraction) => setState({ phase: 'sending', fraction }),
        abort.current.signal,
      );
      await actions.loadBundles();
      setState({
        phase: 'done',
        title: answer.bundle ? bundleTitle(answer.bundle) : file.name,
        before: answer.alreadyExisted === true,
      });
      setFile(null);
      setTitle('');
      if (input.current) input.current.value = '';
    } catch (error) {
      const aborted = error instanceof DOMException && error.name === 'AbortError';
      setState(aborted ? { phase: 'idle' } : { phase: 'failed', error: asApiError(error) });
    }
  };
  return (
    <form
      class="panel import"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <h2>{t('importTitle')}</h2>
      <p class="hint">{t('importHint')}</p>
      <div class="import-fields">
        <label class="field">
          <span class="field-name">{t('chooseFile')}</span>
          <input
            ref={input}
            type="file"
            accept=".zip,.bin"
            disabled={busy}
            onChange={(event) => setFile(event.currentTarget.files?.[0] ?? null)}
          />
        </label>
        <label class="field">
          <span class="field-name">
            {t('bundleTitle')} <span class="field-note">{t('optional')}</span>
          </span>
          <input
            value={title}
            maxLength={100}
            disabled={busy}
            onInput={(event) => setTitle(event.currentTarget.value)}
          />
        </label>
        {busy ? (
          <button type="button" class="button" onClick={() => abort.current?.abort()}>
            {t('cancel')}
          </button>
        ) : (
          <button type="submit" class="button primary" disabled={file === null}>
            <Icon name="upload" /> {t('upload')}
          </button>
        )}
      </div>
      {state.phase === 'sending' && (
        <div>
          <div
            class="bar"
            role="progressbar"
            aria-label={t('uploadProgress')}
            aria-valuemin={0}
            aria-valuemax={100}
            aria-valuenow={Math.round(state.fraction * 100)}
          >
            <span style={{ width: `${state.fraction * 100}%` }} />
          </div>
          <p>
            {state.fraction < 1
              ? t('uploading', { percent: Math.round(state.fraction * 100) })
              : t('uploadChecking')}
          </p>
        </div>
      )}
      <div role="status">
        {state.phase === 'done' && (
          <p class="notice notice-scanned">
            {t(state.before ? 'importedBefore' : 'imported', { title: state.title })}
          </p>
        )}
      </div>
      {state.phase === 'failed' && <ApiErrorPanel error={state.error} />}
    </form>
  );
}

function BundleCard({ bundle }: { bundle: Bundle }) {
  const { t, language, mayManage, actions } = useApp();
  const [asking, setAsking] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const retired = bundle.state === 'STATE_RETIRED';
  const title = bundle.title || bundle.id.slice(0, 12);
  const retire = async () => {
    setAsking(false);
    try {
      await actions.client.retireBundle(bundle.name);
      setError(null);
      await actions.loadBundles();
    } catch (caught) {
      setError(asApiError(caught));
    }
  };
  const facts = Object.entries(bundle.provenance?.facts ?? {});
  return (
    <article class={retired ? 'panel bundle bundle-retired' : 'panel bundle'} data-bundle={bundle.id}>
      <header class="bundle-head">
        <h2>{title}</h2>
        <span class="bundle-what">
          <span class="chip">{bundle.chip}</span>
          {bundle.version && <span>{bundle.version}</span>}
          <span>{bytes(Number(bundle.totalBytes ?? 0))}</span>
          <span>
            {t('importedAt')} {dateTime(language, bundle.createTime)}
          </span>
        </span>
        {retired ? (
          <span class="badge badge-canceled">{t('retired')}</span>
        ) : (
          mayManage &&
          !asking && (
            <button type="button" class="button quiet" onClick={() => setAsking(true)}>
              {t('retire')}
            </button>
          )
        )}
      </header>
      {asking && (
        <div class="ask" role="alert">
          <p>{t('retireQuestion', { title })}</p>
          <div class="buttons">
            <button type="button" class="button" onClick={() => setAsking(false)}>
              {t('cancel')}
            </button>
            <button type="button" class="button danger" onClick={() => void retire()}>
              {t('retire')}
            </button>
          </div>
        </div>
      )}
      {error && <ApiErrorPanel error={error} />}
      <details>
        <summary>{t('images')}</summary>
        <table class="table table-plain">
          <thead>
            <tr>
              <th scope="col">{t('label')}</th>
              <th scope="col">{t('offset')}</th>
              <th scope="col">{t('size')}</th>
              <th scope="col">SHA-256</th>
            </tr>
          </thead>
          <tbody>
            {(bundle.images ?? []).map((image) => (
              <tr key={image.label + String(image.offset)}>
                <td>{image.label}</td>
                <td>
                  <code>{hex(image.offset ?? 0)}</code>
                </td>
                <td>{bytes(image.size ?? 0)}</td>
                <td>
                  <code title={image.sha256}>{image.sha256?.slice(0, 12)}…</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
        {(bundle.partitions ?? []).length > 0 && (
          <>
            <h3>{t('partitions')}</h3>
            <table class="table table-plain">
              <thead>
                <tr>
                  <th scope="col">{t('label')}</th>
                  <th scope="col">{t('kind')}</th>
                  <th scope="col">{t('offset')}</th>
                  <th scope="col">{t('size')}</th>
                </tr>
              </thead>
              <tbody>
                {(bundle.partitions ?? []).map((partition) => (
                  <tr key={partition.label + String(partition.offset)}>
                    <td>{partition.label}</td>
                    <td>
                      {partition.type} {partition.subtype}
                    </td>
                    <td>
                      <code>{hex(partition.offset ?? 0)}</code>
                    </td>
                    <td>{bytes(partition.size ?? 0)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </>
        )}
        {(bundle.nvsValues ?? []).length > 0 && (
          <>
            <h3>{t('nvsValues')}</h3>
            <dl class="facts">
              {(bundle.nvsValues ?? []).map(({ namespace, key, value }) => (
                <div key={`${namespace}.${key}`}>
                  <dt>{`${namespace}.${key}`}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
            </dl>
          </>
        )}
        <h3>{t('provenance')}</h3>
        <dl class="facts">
          <div>
            <dt>ID</dt>
            <dd>
              <code>{bundle.id}</code>
            </dd>
          </div>
          <div>
            <dt>{bundle.provenance?.sourceKind}</dt>
            <dd>{bundle.provenance?.sourceName}</dd>
          </div>
          {facts.map(([key, value]) => (
            <div key={key}>
              <dt>{key}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </details>
    </article>
  );
}
