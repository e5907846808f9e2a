using System.Globalization;
using System.Text.RegularExpressions;

namespace ModelSdk.Onnx.Adapters;

/// <summary>Which modules an adapter_config.json means, by PEFT's rules (check_target_module_exists, get_pattern_key).</summary>
internal sealed class PeftTargets
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(1);

    private readonly Regex? _expression;
    private readonly string[]? _names;
    private readonly Regex? _excludedExpression;
    private readonly string[] _excludedNames;
    private readonly int[]? _layers;
    private readonly string[] _layerPatterns;

    /// <summary>Compiles the patterns.</summary>
    /// <param name="expression">target_modules as one regular expression over whole names; "all-linear" is all linears but the LM head; null where it is a list.</param>
    /// <param name="names">target_modules as a list of names or endings of names; null where it is not.</param>
    /// <param name="excludedExpression">exclude_modules as one regular expression, or null.</param>
    /// <param name="excludedNames">exclude_modules as a list.</param>
    /// <param name="layers">layers_to_transform; null: all. Counts only where targets are a list.</param>
    /// <param name="layerPatterns">layers_pattern; empty: any.</param>
    /// <exception cref="ArgumentException">An expression is malformed.</exception>
    public PeftTargets(string? expression, string[]? names, string? excludedExpression, string[] excludedNames, int[]? layers, string[] layerPatterns)
    {
        AllLinear = string.Equals(expression, "all-linear", StringComparison.OrdinalIgnoreCase);
        _expression = expression is null || AllLinear ? null : Whole(expression);
        _names = names;
        _excludedExpression = excludedExpression is null ? null : Whole(excludedExpression);
        _excludedNames = excludedNames;
        _layers = names is null || layers is { Length: 0 } ? null : layers;
        _layerPatterns = layerPatterns;
        foreach (string pattern in layerPatterns)
            _ = Index(pattern);
    }

    /// <summary>target_modules is "all-linear".</summary>
    public bool AllLinear { get; }

    /// <summary>Whether the adapter changes a module.</summary>
    /// <param name="module">Name such as "model.layers.0.self_attn.q_proj".</param>
    public bool Contains(string module)
    {
        if (_excludedExpression?.IsMatch(module) == true || EndsWithOneOf(module, _excludedNames))
            return false;
        if (_names is null)
            return AllLinear ? module != "lm_head" : _expression?.IsMatch(module) ?? true;
        if (!EndsWithOneOf(module, _names))
            return false;
        return _layers is null || (LayerOf(module) is int layer && _layers.Contains(layer));
    }

    /// <summary>The value of the first pattern that a module's name ends with, as rank_pattern and alpha_pattern are read; null where none does.</summary>
    /// <param name="patterns">Regular expressions over endings of names, in the file's order.</param>
    /// <param name="module">Module name.</param>
    /// <exception cref="ArgumentException">A pattern is malformed.</exception>
    public static double? Find(IReadOnlyList<KeyValuePair<string, double>> patterns, string module)
    {
        foreach ((string pattern, double value) in patterns)
        {
            if (Whole($@"(.*\.)?({pattern})").IsMatch(module))
                return value;
        }

        return null;
    }

    private int? LayerOf(string module)
    {
        foreach (string pattern in _layerPatterns.DefaultIfEmpty("[^.]*"))
        {
            Match match = Index(pattern).Match(module);
            if (match.Success)
                return int.Parse(match.Groups["index"].Value, CultureInfo.InvariantCulture);
        }

        return null;
    }

    private static Regex Index(string pattern) => new($@"^.*?\.(?:{pattern})\.(?<index>\d+)\.", RegexOptions.CultureInvariant, s_limit);

    private static Regex Whole(string expression) => new($@"^(?:{expression})\z", RegexOptions.CultureInvariant, s_limit);

    private static bool EndsWithOneOf(string module, string[] names)
        => names.Any(n => module == n || module.EndsWith("." + n, StringComparison.Ordinal));
}
