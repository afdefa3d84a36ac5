import type { Target } from '../state/model';
import { type PortCard, targetPorts } from '../state/selectors';
import { useApp } from './context';

// Where the order goes: one port, all that are ready, or the next board that appears.
export function TargetChoice({ cards }: { cards: PortCard[] }) {
  const { state, dispatch, t } = useApp();
  const ready = targetPorts({ ...state, target: 'ready' }, cards).length;
  const choices: { value: string; label: string; count?: number; target: Target }[] = [
    { value: 'ready', label: t('targetReady'), count: ready, target: 'ready' },
    { value: 'any', label: t('targetAny'), target: 'any' },
    ...cards.map(({ board, label }) => ({
      value: `port:${board.port}`,
      label,
      target: { port: board.port },
    })),
  ];
  const chosen = typeof state.target === 'string' ? state.target : `port:${state.target.port}`;
  return (
    <fieldset class="target">
      <legend class="field-name">{t('where')}</legend>
      <div class="pills">
        {choices.map(({ value, label, count, target }) => (
          <label key={value} class="pill">
            <input
              type="radio"
              name="target"
              value={value}
              checked={chosen === value}
              onChange={() => dispatch({ type: 'target', target })}
            />
            <span>
              {label}
              {count !== undefined && <b class="pill-count">{count}</b>}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
