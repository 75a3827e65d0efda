import { TextInput } from "@mantine/core";

/** The search over a list; what is typed is in the address. */
export function Find({ label, value, onChange }: { label: string; value: string; onChange: (find: string) => void }) {
  return (
    <TextInput
      type="search"
      size="xs"
      className="data-find"
      aria-label={label}
      placeholder={label}
      value={value}
      onChange={(event) => {
        onChange(event.currentTarget.value);
      }}
    />
  );
}
