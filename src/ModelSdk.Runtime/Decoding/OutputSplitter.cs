using System.Text;

namespace ModelSdk.Runtime.Decoding;

/// <summary>
/// Splits a model's text into reasoning and answer while it is being generated, and finds stop texts in the answer. Text that may
/// yet become a tag, a stop text or trailing white space of the reasoning is held back until that is decided.
/// </summary>
/// <remarks>
/// The reasoning block must come first (white space may precede it). Reasoning is trimmed at both ends, an answer behind
/// reasoning at its start. Joined, the pieces handed out are <see cref="Reasoning"/> and <see cref="Answer"/>.
/// </remarks>
internal sealed class OutputSplitter
{
    private readonly string _open;
    private readonly string _close;
    private readonly IReadOnlyList<string> _stops;
    private readonly Action<UpdateKind, string>? _sink;
    private readonly StringBuilder _reasoning = new();
    private readonly StringBuilder _answer = new();
    private string _pending = "";
    private bool _trimStart;

    public OutputSplitter(string open, string close, IReadOnlyList<string> stops, Action<UpdateKind, string>? sink)
    {
        _open = open;
        _close = close;
        _stops = stops;
        _sink = sink;
    }

    /// <summary>Where the text stands.</summary>
    public OutputPart Part { get; private set; } = OutputPart.Undecided;

    /// <summary>Whether a stop text was found; later text is ignored.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Whether text is held back that is the beginning of the opening tag.</summary>
    public bool InOpeningTag => Part == OutputPart.Undecided && _pending.AsSpan().TrimStart().Length > 0;

    /// <summary>Reasoning handed out so far; null when there is no reasoning block.</summary>
    public string? Reasoning { get; private set; }

    /// <summary>Answer handed out so far.</summary>
    public string Answer => _answer.ToString();

    /// <summary>Takes generated text.</summary>
    public void Append(string text)
    {
        if (text.Length == 0 || Stopped)
            return;
        _pending = _pending.Length == 0 ? text : _pending + text;
        if (Part == OutputPart.Undecided)
            Decide();
        if (Part == OutputPart.Reasoning)
            TakeReasoning();
        if (Part == OutputPart.Answer)
            TakeAnswer();
    }

    /// <summary>Ends a reasoning block that the model left open, or treats an undecided text as reasoning that was cut.</summary>
    public void EnterReasoning()
    {
        if (Part != OutputPart.Undecided)
            return;
        _pending = "";
        BeginReasoning();
    }

    /// <summary>Hands out what was held back; call once at the end.</summary>
    public void Complete()
    {
        if (Part == OutputPart.Reasoning)
        {
            // White space at the end of the reasoning is dropped; a partial closing tag is text after all.
            Hand(UpdateKind.Reasoning, _pending.TrimEnd());
            Reasoning = _reasoning.ToString();
        }
        else if (!Stopped)
        {
            Part = OutputPart.Answer;
            TakeAnswer();
            Hand(UpdateKind.Answer, _pending);
        }

        _pending = "";
    }

    private void Decide()
    {
        ReadOnlySpan<char> text = _pending.AsSpan().TrimStart();
        if (text.StartsWith(_open, StringComparison.Ordinal))
        {
            _pending = text[_open.Length..].ToString();
            BeginReasoning();
        }
        else if (!_open.AsSpan().StartsWith(text, StringComparison.Ordinal))
        {
            Part = OutputPart.Answer;
        }
    }

    private void BeginReasoning()
    {
        Part = OutputPart.Reasoning;
        Reasoning = "";
        _trimStart = true;
    }

    private void TakeReasoning()
    {
        int close = _pending.IndexOf(_close, StringComparison.Ordinal);
        if (close >= 0)
        {
            Hand(UpdateKind.Reasoning, TrimmedStart(_pending[..close]).TrimEnd());
            Reasoning = _reasoning.ToString();
            _pending = _pending[(close + _close.Length)..];
            Part = OutputPart.Answer;
            _trimStart = true;
            return;
        }

        string text = TrimmedStart(_pending);
        int held = HeldBack(text, _close);
        int end = text.Length - held;
        while (end > 0 && char.IsWhiteSpace(text[end - 1]))
            end--;
        Hand(UpdateKind.Reasoning, text[..end]);
        _pending = text[end..];
    }

    private void TakeAnswer()
    {
        string text = TrimmedStart(_pending);
        int first = -1;
        foreach (string stop in _stops)
        {
            int at = text.IndexOf(stop, StringComparison.Ordinal);
            if (at >= 0 && (first < 0 || at < first))
                first = at;
        }

        if (first >= 0)
        {
            Hand(UpdateKind.Answer, text[..first]);
            _pending = "";
            Stopped = true;
            return;
        }

        int held = 0;
        foreach (string stop in _stops)
            held = Math.Max(held, HeldBack(text, stop));
        Hand(UpdateKind.Answer, text[..^held]);
        _pending = held == 0 ? "" : text[^held..];
    }

    /// <summary>Length of the longest end of the text that begins the marker.</summary>
    private static int HeldBack(string text, string marker)
    {
        for (int length = Math.Min(text.Length, marker.Length - 1); length > 0; length--)
        {
            if (text.AsSpan(text.Length - length).SequenceEqual(marker.AsSpan(0, length)))
                return length;
        }

        return 0;
    }

    private string TrimmedStart(string text)
    {
        if (!_trimStart)
            return text;
        text = text.TrimStart();
        _trimStart = text.Length == 0;
        return text;
    }

    private void Hand(UpdateKind kind, string text)
    {
        if (text.Length == 0)
            return;
        (kind == UpdateKind.Reasoning ? _reasoning : _answer).Append(text);
        _sink?.Invoke(kind, text);
    }
}

/// <summary>Where generated text stands.</summary>
internal enum OutputPart
{
    /// <summary>Nothing, white space, or the beginning of the opening tag.</summary>
    Undecided,

    /// <summary>Inside the reasoning block.</summary>
    Reasoning,

    /// <summary>Behind the reasoning block, or there was none.</summary>
    Answer,
}
