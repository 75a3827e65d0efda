import { useMediaQuery } from "@mantine/hooks";
import type { ReactNode } from "react";

/** As in the style sheet. */
const WIDE = "(min-width: 1181px)";

interface WorkbenchProps {
  /** The question as one edits it most. */
  question: ReactNode;
  /** What one changes now and then. */
  options: ReactNode;
  /** The rule that the options make, as sentences. */
  rule: ReactNode;
  children: ReactNode;
}

/** A question with its result below, and its options at the side; where there is no side, between them and folded. */
export function Workbench({ question, options, rule, children }: WorkbenchProps) {
  const wide = useMediaQuery(WIDE, true, { getInitialValueInEffect: false });
  const inside = (
    <div className="options-inside">
      {options}
      {rule !== null && (
        <div className="option-rule">
          <h3>The rule</h3>
          <p className="quiet small">{rule}</p>
        </div>
      )}
    </div>
  );
  return (
    <div className="workbench">
      <section className="panel sentence" aria-label="Question">
        {question}
      </section>
      {wide ? (
        <aside className="panel options" aria-label="Options">
          <h2>Options</h2>
          {inside}
        </aside>
      ) : (
        <details className="panel options">
          <summary>Options</summary>
          {inside}
        </details>
      )}
      <div className="workbench-result">{children}</div>
    </div>
  );
}
