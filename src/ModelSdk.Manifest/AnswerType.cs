namespace ModelSdk.Manifest;

/// <summary>What an answer is read as.</summary>
public enum AnswerType
{
    /// <summary>The text itself; <c>text</c>.</summary>
    Text,

    /// <summary>A whole number; <c>integer</c>.</summary>
    Integer,

    /// <summary>A number; <c>number</c>.</summary>
    Number,

    /// <summary>One of some texts; <c>choice</c>.</summary>
    Choice,
}
