using System.Text.Json;
using System.Text.RegularExpressions;

namespace MathTutor.Recipe.Tokenizers;

/// <summary>Encodes with a tokenizer.json that <see cref="TokenizerFiles"/> wrote; remembers words, for the base reads millions of the same few.</summary>
internal sealed class BpeEncoder
{
    private readonly Dictionary<string, int> _vocabulary = [];
    private readonly Dictionary<(string, string), int> _ranks = [];
    private readonly Dictionary<string, int[]> _words = [];
    private readonly Dictionary<string, int> _added = [];
    private readonly Regex _addedPattern;
    private readonly Regex _split = new(BpeTrainer.SplitPattern, RegexOptions.CultureInvariant | RegexOptions.Compiled);

    public BpeEncoder(string tokenizerJson)
    {
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(tokenizerJson));
        JsonElement model = json.RootElement.GetProperty("model");
        foreach (JsonProperty token in model.GetProperty("vocab").EnumerateObject())
        {
            _vocabulary[token.Name] = token.Value.GetInt32();
        }

        foreach (JsonElement merge in model.GetProperty("merges").EnumerateArray())
        {
            string[] pair = merge.GetString()!.Split(' ');
            _ranks[(pair[0], pair[1])] = _ranks.Count;
        }

        foreach (JsonElement token in json.RootElement.GetProperty("added_tokens").EnumerateArray())
        {
            _added[token.GetProperty("content").GetString()!] = token.GetProperty("id").GetInt32();
        }

        _addedPattern = new Regex(string.Join('|', _added.Keys.Select(Regex.Escape)), RegexOptions.Compiled | RegexOptions.CultureInvariant);
    }

    /// <summary>Number of tokens.</summary>
    public int Count => _vocabulary.Count + _added.Count;

    /// <summary>Id of an added token.</summary>
    public int Added(string token) => _added[token];

    /// <summary>Appends the ids of a text.</summary>
    public void Encode(string text, List<int> ids)
    {
        int at = 0;
        foreach (Match added in _addedPattern.Matches(text))
        {
            Plain(text[at..added.Index], ids);
            ids.Add(_added[added.Value]);
            at = added.Index + added.Length;
        }

        Plain(text[at..], ids);
    }

    private void Plain(string text, List<int> ids)
    {
        foreach (Match word in _split.Matches(text))
        {
            if (!_words.TryGetValue(word.Value, out int[]? tokens))
            {
                _words[word.Value] = tokens = Merge(word.Value);
            }

            ids.AddRange(tokens);
        }
    }

    private int[] Merge(string word)
    {
        var symbols = System.Text.Encoding.UTF8.GetBytes(word).Select(b => BpeTrainer.ByteSymbols[b]).ToList();
        while (true)
        {
            int best = -1, rank = int.MaxValue;
            for (int i = 1; i < symbols.Count; i++)
            {
                if (_ranks.TryGetValue((symbols[i - 1], symbols[i]), out int r) && r < rank)
                {
                    (best, rank) = (i, r);
                }
            }

            if (best < 0)
            {
                return [.. symbols.Select(s => _vocabulary[s])];
            }

            symbols[best - 1] += symbols[best];
            symbols.RemoveAt(best);
        }
    }
}
