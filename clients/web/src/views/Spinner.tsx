// Something is under way: 16, 32 or 48 pixels, perhaps with a word beside it.
export function Spinner({
  size = 'medium',
  children,
}: {
  size?: 'small' | 'medium' | 'large';
  children?: string;
}) {
  return (
    <span class={`spinner spinner-${size}`}>
      <svg viewBox="0 0 24 24" aria-hidden="true" focusable="false">
        <circle cx="12" cy="12" r="9" />
        <path d="M12 3a9 9 0 0 1 9 9" />
      </svg>
      {children && <span class="spinner-text">{children}</span>}
    </span>
  );
}
