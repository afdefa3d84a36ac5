import { useEffect, useRef } from 'preact/hooks';
import { dateTime } from '../i18n/format';
import type { RewriteQuestion } from '../state/model';
import { useApp } from './context';
import { Icon } from './Icon';

// The one question that stops the flow: a board that is a finished product already would become another one.
export function RewriteDialog({ question }: { question: RewriteQuestion }) {
  const { t, actions, language } = useApp();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const others = question.orders.length - question.finished.length;
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="rewrite-title"
      onCancel={(event) => {
        event.preventDefault();
        void actions.answerRewrite('none');
      }}
    >
      <h2 id="rewrite-title">
        <Icon name="attention" /> {t('rewriteTitle')}
      </h2>
      <p>{t('rewriteText')}</p>
      <ul class="dialog-list">
        {question.finished.map(({ port, mac, customerId, endTime }) => (
          <li key={port}>
            {t('rewriteLine', {
              port: actions.labelOf(port),
              mac,
              customer: customerId,
              time: dateTime(language, endTime),
            })}
          </li>
        ))}
      </ul>
      <div class="buttons">
        <button type="button" class="button" onClick={() => void actions.answerRewrite('none')}>
          {t('rewriteNo')}
        </button>
        {others > 0 && (
          <button type="button" class="button" onClick={() => void actions.answerRewrite('others')}>
            {t('rewriteSkip')}
          </button>
        )}
        <button type="button" class="button danger" onClick={() => void actions.answerRewrite('all')}>
          {t('rewriteYes')}
        </button>
      </div>
    </dialog>
  );
}
