using System.CommandLine;
using ModelSdk.Compiler.Logging;
using ModelSdk.Compiler.Store;

namespace ModelSdk.Compiler.Commands;

/// <summary>Options that several verbs share.</summary>
internal static class Options
{
    public static Option<string?> Json() => new("--json") { HelpName = "FILE|-", Description = "Write the result as JSON to a file, or to standard output for -." };

    public static Option<string?> Store() => new("--store") { HelpName = "DIR", Description = "The store of finished stages. Default: $MODELSDK_STORE, else the user's cache folder." };

    public static Argument<string> Manifest() => new("MANIFEST") { Description = "The model's manifest, *.model.json." };

    public static Argument<string> Bundle() => new("BUNDLE") { Description = "Folder of a compiled model." };

    public static Option<int?> AtLeast(string name, int least, string helpName, string description)
    {
        Option<int?> option = new(name) { HelpName = helpName, Description = description };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is int value && value < least)
            {
                result.AddError($"{name} must be at least {least}.");
            }
        });
        return option;
    }

    /// <summary>Whole numbers from 1, separated by commas.</summary>
    public static Option<int[]> Numbers(string name, string helpName, string description) => new(name)
    {
        HelpName = helpName,
        Description = description,
        CustomParser = result =>
        {
            List<int> numbers = [];
            foreach (string part in result.Tokens.SelectMany(t => t.Value.Split(',')))
            {
                if (int.TryParse(part.Trim(), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int number) && number > 0)
                {
                    numbers.Add(number);
                }
                else
                {
                    result.AddError($"{name} takes whole numbers from 1, separated by commas; \"{part}\" is none.");
                }
            }

            return [.. numbers];
        },
    };

    public static ArtifactStore OpenStore(string? folder) => new(string.IsNullOrEmpty(folder) ? ArtifactStore.DefaultRoot() : folder);

    /// <summary>The log of a verb whose result goes to standard output: text on standard error.</summary>
    public static CompilerLog TextLog() => new(Console.Error, LogFormat.Text);
}
