import { Button, CopyButton } from "@mantine/core";

/** Something to run elsewhere, with a button that copies it. */
export function Snippet({ text, label }: { text: string; label: string }) {
  return (
    <div className="snippet">
      {/* A region that scrolls must be reachable by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y-x/no-noninteractive-tabindex */}
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <CopyButton value={text} timeout={2_000}>
        {({ copied, copy }) => (
          <Button size="compact-xs" variant="default" onClick={copy}>
            {copied ? "Copied" : "Copy"}
          </Button>
        )}
      </CopyButton>
    </div>
  );
}
