import { Tooltip } from "@mantine/core";

/** Marks a value that comes from a sketch; its error on hover and on focus. */
export function About({ error }: { error: number }) {
  const text = `Estimated, with a standard error of ${(error * 100).toFixed(1)}%. Small numbers are close to exact.`;
  return (
    <Tooltip label={text} events={{ hover: true, focus: true, touch: true }} withArrow={false} multiline>
      <button type="button" className="about" aria-label={`about. ${text}`}>
        about
      </button>
    </Tooltip>
  );
}
